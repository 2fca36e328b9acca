"""Deliveries as the worker sees them, and the channel they come through."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiormq.channel import Channel
from pamqp.header import ContentHeader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiormq.abc import AbstractConnection, DeliveredMessage
    from pamqp.commands import Basic

#: Set by publishers: when the message was sent, in microseconds since 1970.
PUBLISHED_AT_HEADER = "meter-published-at"
#: Set by quorum queues: how often the message was delivered before.
_DELIVERY_COUNT_HEADER = "x-delivery-count"

#: Frames read ahead of the one being looked at; of up to 128 KiB each, so 4 MiB at the most.
_FRAMES_READ_AHEAD = 32
_OPEN_TIMEOUT_S = 30.0
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message delivered once.

    Attributes:
        tag: its number on its channel.
        body: the message's bytes.
        content_type: as the publisher set it.
        attempts: how often it was delivered by now, this time included.
        published_at: when it was published, seconds since 1970; None where the publisher did not say.
        received_at: when it came here, seconds since 1970.
    """

    tag: int
    body: bytes
    content_type: str | None
    attempts: int = 1
    published_at: float | None = None
    received_at: float = field(default_factory=time.time)

    @property
    def first_seen(self) -> datetime:
        """The earliest moment known at which meter had the message."""
        seen = self.received_at
        if self.attempts > 1 and self.published_at is not None:
            seen = min(seen, self.published_at)
        return datetime.fromtimestamp(seen, UTC)


def delivery_of(message: DeliveredMessage) -> Delivery:
    """Take over a message from the AMQP library.

    Args:
        message: as it was delivered; headers that are not what they should be count as absent.
    """
    properties = message.header.properties
    headers = properties.headers or {}
    count = headers.get(_DELIVERY_COUNT_HEADER)
    published = headers.get(PUBLISHED_AT_HEADER)
    return Delivery(
        tag=message.delivery_tag or 0,
        body=message.body,
        content_type=properties.content_type,
        attempts=count + 1 if isinstance(count, int) and count > 0 else 1,
        published_at=published / _MICROSECONDS if isinstance(published, int) and published > 0 else None,
    )


class DeliveryChannel(Channel):
    """A channel that hands over deliveries one by one and reads on when the receiver is ready for more.

    The library's own way starts a task for every message: whatever the broker sends is taken in at once, an
    error in it is lost, and the tasks outlive the channel. Here the channel's reader waits for the receiver.
    """

    def __init__(
        self, connection: AbstractConnection, number: int, receive: Callable[[Delivery], Awaitable[None]]
    ) -> None:
        super().__init__(connection, number, publisher_confirms=False, frame_buffer=_FRAMES_READ_AHEAD)
        self._receive = receive

    async def _on_deliver_frame(self, frame: Basic.Deliver) -> None:
        header = await self._get_frame()
        if not isinstance(header, ContentHeader):
            raise TypeError(f"expected the header of a message, got {type(header).__name__}")
        await self._receive(delivery_of(await self._read_content(frame, header)))


async def open_delivery_channel(
    connection: AbstractConnection, receive: Callable[[Delivery], Awaitable[None]]
) -> DeliveryChannel:
    """Open a channel for consuming.

    Args:
        connection: an open connection.
        receive: gets every delivery of the channel, whatever consumer it is for, in order; while it waits
            nothing more is read from the connection.

    Returns:
        The open channel.
    """
    number = max(connection.channels, default=0) + 1
    channel = DeliveryChannel(connection, number, receive)
    connection.channels[number] = channel
    await channel.open(timeout=_OPEN_TIMEOUT_S)
    return channel
