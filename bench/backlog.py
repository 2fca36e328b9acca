"""A queue full of confirmed messages, and how full it is."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pamqp.commands import Basic
from yarl import URL

from meter.amqp import broker_connection
from meter.consumers.topology import USAGE_EXCHANGE, USAGE_QUEUE, queue_depth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from aiormq.abc import AbstractChannel

    from bench.messages import Message

#: Messages on their way at once: enough to keep the broker busy.
_WINDOW = 256
_PERSISTENT = 2
_HEARTBEAT_SECONDS = 600


@asynccontextmanager
async def broker_channel(url: str, *, confirms: bool = True) -> AsyncIterator[AbstractChannel]:
    """Open a channel, with confirms or without, for as long as the context lasts."""
    # Making a million messages keeps the loop from answering heartbeats.
    patient = str(URL(url).update_query(heartbeat=_HEARTBEAT_SECONDS))
    async with broker_connection(patient, name="bench") as connection:
        yield await connection.channel(publisher_confirms=confirms)


async def fill(channel: AbstractChannel, messages: Sequence[Message]) -> None:
    """Empty the queue, publish, and wait until all is confirmed and ready.

    Raises:
        RuntimeError: the queue then holds another number of messages.
    """
    await channel.queue_purge(USAGE_QUEUE)
    await publish_all(channel, messages)
    ready = await depth(channel)
    if ready != len(messages):
        raise RuntimeError(f"{len(messages)} messages were confirmed and the queue holds {ready}")


async def publish_all(channel: AbstractChannel, messages: Sequence[Message]) -> None:
    """Publish, and wait until all is confirmed."""
    waiting = iter(messages)

    async def lane() -> None:
        for message in waiting:
            await publish(channel, message, time.time_ns() // 1_000)

    async with asyncio.TaskGroup() as lanes:
        for _ in range(_WINDOW):
            lanes.create_task(lane())


async def depth(channel: AbstractChannel) -> int:
    """Messages in the usage queue that are not delivered yet."""
    return await queue_depth(channel, USAGE_QUEUE)


async def publish(channel: AbstractChannel, message: Message, stamp_us: int) -> None:
    """Publish as meter's publisher would, and wait for the confirm, where the channel has confirms.

    Args:
        channel: open.
        message: what to publish.
        stamp_us: now, in microseconds since 1970.
    """
    await channel.basic_publish(
        message.body,
        exchange=USAGE_EXCHANGE,
        routing_key=message.routing_key,
        mandatory=True,
        properties=Basic.Properties(
            content_type=message.content_type,
            delivery_mode=_PERSISTENT,
            headers={"meter-published-at": stamp_us},
        ),
    )
