"""An aio-pika handler with a transaction per event: prefetch 100, a pool of 20 connections."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import aio_pika

from bench.peers.one_event import PREFETCH, OneEvent, connections
from bench.peers.process import AMQP_URL, DATABASE_URL, answer
from meter.consumers.topology import USAGE_QUEUE

if TYPE_CHECKING:
    from aio_pika.abc import AbstractIncomingMessage


async def measure(count: int) -> dict[str, float]:
    """Handle so many messages.

    Returns:
        ``seconds`` from the first delivery to the last commit.
    """
    async with (
        connections(os.environ[DATABASE_URL]) as pool,
        await aio_pika.connect(os.environ[AMQP_URL]) as connection,
    ):
        settling = OneEvent(pool, count)

        async def handle(message: AbstractIncomingMessage) -> None:
            settling.delivered()
            await settling.settle(json.loads(message.body))
            await message.ack()
            settling.acknowledged()

        channel = await connection.channel()
        await channel.set_qos(prefetch_count=PREFETCH)
        queue = await channel.get_queue(USAGE_QUEUE, ensure=False)
        await queue.consume(handle)
        await settling.done.wait()
        return {"seconds": settling.seconds}


if __name__ == "__main__":
    answer(measure(int(sys.argv[1])))
