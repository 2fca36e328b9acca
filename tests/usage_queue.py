"""The worker's side of the broker, as far as tests of publishers need it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiormq

from meter.consumers.topology import USAGE_QUEUE, declare_topology
from meter.events import decode_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiormq.abc import DeliveredMessage

    from meter.events import Usage


class UsageQueue:
    """The queue ``meter.usage`` with everything that belongs to it."""

    def __init__(self, connection: aiormq.abc.AbstractConnection) -> None:
        self._connection = connection

    async def declare(self) -> None:
        """Make exchange, queues and binding, as a worker does."""
        await declare_topology(self._connection)

    async def declare_exchange_only(self) -> None:
        """Make the exchange without a queue behind it."""
        channel = await self._connection.channel()
        await channel.exchange_declare("meter.usage", exchange_type="topic", durable=True)
        await channel.close()

    async def declare_with_room_for(self, messages: int) -> None:
        """Make exchange and queue; the broker refuses what the queue has no room for."""
        await self.declare_exchange_only()
        channel = await self._connection.channel()
        room = {"x-queue-type": "quorum", "x-max-length": messages, "x-overflow": "reject-publish"}
        await channel.queue_declare(USAGE_QUEUE, durable=True, arguments=room)
        await channel.queue_bind(USAGE_QUEUE, "meter.usage", routing_key="#")
        await channel.close()

    async def messages(self) -> list[DeliveredMessage]:
        """Take every message there is."""
        channel = await self._connection.channel()
        taken = []
        while (message := await channel.basic_get(USAGE_QUEUE, no_ack=True)).body:
            taken.append(message)
        await channel.close()
        return taken

    async def events(self) -> list[Usage]:
        """Take every event there is; every message must be a good one."""
        events: list[Usage] = []
        for message in await self.messages():
            decoded = decode_message(message.body, message.header.properties.content_type)
            assert decoded.refusals == ()
            events += decoded.events
        return events


@asynccontextmanager
async def usage_queue(operator_url: str, *, declared: bool = True) -> AsyncIterator[UsageQueue]:
    """Open the worker's side of a broker.

    Args:
        operator_url: a user who may declare and read.
        declared: whether exchange and queues are there from the beginning.
    """
    async with aiormq.connect(operator_url) as connection:
        queue = UsageQueue(connection)
        if declared:
            await queue.declare()
        yield queue
