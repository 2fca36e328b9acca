"""What the broker and the protocol library deliver at all: consume and acknowledge, no work."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING

import aiormq

from bench.peers.process import AMQP_URL, answer
from meter.consumers.topology import USAGE_QUEUE

if TYPE_CHECKING:
    from aiormq.abc import DeliveredMessage

#: As many messages as the worker holds at its default.
_PREFETCH = 24_000
_ACK_EVERY = 500


async def measure(count: int) -> dict[str, float]:
    """Consume so many messages.

    Returns:
        ``seconds`` from the first delivery to the last acknowledgement written.
    """
    async with aiormq.connect(os.environ[AMQP_URL]) as connection:
        channel = await connection.channel(publisher_confirms=False)
        await channel.basic_qos(prefetch_count=_PREFETCH)
        done = asyncio.Event()
        began = 0.0
        received = 0

        async def receive(message: DeliveredMessage) -> None:
            nonlocal began, received
            if received == 0:
                began = time.perf_counter()
            received += 1
            if received % _ACK_EVERY == 0 or received == count:
                await channel.basic_ack(message.delivery_tag or 0, multiple=True, wait=False)
            if received == count:
                done.set()

        await channel.basic_consume(USAGE_QUEUE, receive)
        await done.wait()
        return {"seconds": time.perf_counter() - began}


if __name__ == "__main__":
    answer(measure(int(sys.argv[1])))
