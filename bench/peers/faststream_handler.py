"""A FastStream handler with a transaction per event: prefetch 100, a pool of 20 connections.

It acknowledges by itself after the handler returned, as FastStream does unless told otherwise.
"""

from __future__ import annotations

import json
import os
import sys

from faststream.rabbit import Channel, RabbitBroker, RabbitQueue

from bench.peers.one_event import PREFETCH, OneEvent, connections
from bench.peers.process import AMQP_URL, DATABASE_URL, answer
from meter.consumers.topology import USAGE_QUEUE


async def measure(count: int) -> dict[str, float]:
    """Handle so many messages.

    Returns:
        ``seconds`` from the first delivery to the last commit.
    """
    broker = RabbitBroker(os.environ[AMQP_URL], logger=None)
    async with connections(os.environ[DATABASE_URL]) as pool:
        settling = OneEvent(pool, count)

        @broker.subscriber(RabbitQueue(USAGE_QUEUE, declare=False), channel=Channel(prefetch_count=PREFETCH))
        async def handle(body: bytes) -> None:
            settling.delivered()
            await settling.settle(json.loads(body))
            settling.acknowledged()

        async with broker:
            await broker.start()
            await settling.done.wait()
    return {"seconds": settling.seconds}


if __name__ == "__main__":
    answer(measure(int(sys.argv[1])))
