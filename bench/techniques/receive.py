"""A program that takes messages and does nothing with them, by one of three libraries on one of two loops."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING

import aio_pika
import aiormq
import uvloop

from bench.peers.process import AMQP_URL, say
from meter.amqp import broker_connection
from meter.consumers.allowance import Allowance
from meter.consumers.tap import Tap, TappedTransport
from meter.consumers.topology import USAGE_QUEUE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aio_pika.abc import AbstractIncomingMessage
    from aiormq.abc import AbstractChannel, DeliveredMessage

    from meter.consumers.deliveries import Delivery

#: As the worker at its default, and as the raw consumer that B2 is measured against.
_PREFETCH = 8_000
_ACK_EVERY = 500
#: More than so many small messages have.
_HELD_BYTES = 64 * 1024 * 1024


class Count:
    """Counts messages, and says when to acknowledge and when all have come."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._received = 0
        self._began = (0.0, 0.0)
        self._spent = (0.0, 0.0)
        self.done = asyncio.Event()

    def add(self, messages: int = 1) -> bool:
        """Count messages; returns whether to acknowledge up to the last."""
        if self._received == 0:
            self._began = (time.process_time(), time.perf_counter())
        before, self._received = self._received, self._received + messages
        if self._received >= self._expected:
            self._spent = (time.process_time() - self._began[0], time.perf_counter() - self._began[1])
            self.done.set()
        return before // _ACK_EVERY != self._received // _ACK_EVERY or self.done.is_set()

    async def cost(self) -> dict[str, float]:
        """Wait for all; returns microseconds a message, of the processor and of the clock."""
        await self.done.wait()
        cpu, clock = (1e6 * seconds / self._expected for seconds in self._spent)
        return {"cpu_us": cpu, "clock_us": clock}


async def aio_pika_way(count: Count) -> dict[str, float]:
    """Take messages as aio-pika gives them."""
    async with await aio_pika.connect(os.environ[AMQP_URL]) as connection:
        channel = await connection.channel(publisher_confirms=False)
        await channel.set_qos(prefetch_count=_PREFETCH)

        async def receive(message: AbstractIncomingMessage) -> None:
            if count.add():
                await message.ack(multiple=True)

        queue = await channel.get_queue(USAGE_QUEUE, ensure=False)
        await queue.consume(receive)
        return await count.cost()


async def aiormq_way(count: Count) -> dict[str, float]:
    """Take messages from the protocol library below aio-pika."""
    async with aiormq.connect(os.environ[AMQP_URL]) as connection:
        channel = await connection.channel(publisher_confirms=False)
        await channel.basic_qos(prefetch_count=_PREFETCH)

        async def receive(message: DeliveredMessage) -> None:
            if count.add():
                await _acknowledge(channel, message.delivery_tag or 0)

        await channel.basic_consume(USAGE_QUEUE, receive)
        return await count.cost()


async def tap_way(count: Count) -> dict[str, float]:
    """Take messages from the socket as the worker does."""
    tap = Tap()
    async with (
        broker_connection(
            os.environ[AMQP_URL], name="bench", transport_factory=TappedTransport(tap)
        ) as connection,
        asyncio.TaskGroup() as acknowledging,
    ):
        channel = await connection.channel(publisher_confirms=False)
        await channel.basic_qos(prefetch_count=_PREFETCH)
        allowance = Allowance(_HELD_BYTES)

        def receive(deliveries: list[Delivery]) -> None:
            allowance.release(sum(len(delivery.body) for delivery in deliveries))
            if count.add(len(deliveries)):
                acknowledging.create_task(_acknowledge(channel, deliveries[-1].tag))

        tap.open(channel.number, allowance, receive)
        await channel.basic_consume(USAGE_QUEUE, _never)
        return await count.cost()


async def _acknowledge(channel: AbstractChannel, tag: int) -> None:
    await channel.basic_ack(tag, multiple=True, wait=False)


async def _never(_message: DeliveredMessage) -> None:
    raise AssertionError("deliveries are taken before the library sees them")


WAYS: dict[str, Callable[[Count], Awaitable[dict[str, float]]]] = {
    "aio-pika": aio_pika_way,
    "aiormq": aiormq_way,
    "tap": tap_way,
}
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


async def _measure(way: str, expected: int) -> dict[str, float]:
    return await WAYS[way](Count(expected))


if __name__ == "__main__":
    _, way, loop, expected = sys.argv
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        say(runner.run(_measure(way, int(expected))))
