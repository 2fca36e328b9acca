"""Deliveries tapped from the socket, before the AMQP library takes every frame apart.

The library reads through a transport of ours (its public hook): it asks for bytes, and gets every frame but
those of deliveries. So nothing a message carries can break the connection.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

from aiormq import TransportFactory

from meter.amqp import plain_transport
from meter.consumers.frames import HEARTBEAT_FRAME, Frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from yarl import URL

    from meter.consumers.allowance import Allowance
    from meter.consumers.deliveries import Delivery

#: Bytes read at once at the most: some hundred small messages, parsed in about a millisecond.
_CHUNK_BYTES = 256 * 1024
#: Above twice this many bytes unread the socket is left alone.
_BUFFER_BYTES = 128 * 1024
#: The library gives up a connection it hears nothing from, and of deliveries it hears nothing; a broker that
#: delivers sends no heartbeats. So often it is told that the connection lives.
_HEARTBEAT_INTERVAL_S = 1.0


class Tap:
    """Where the deliveries of one connection go; thrown away with it."""

    def __init__(self) -> None:
        self.frames = Frames()
        self._allowance: Allowance | None = None
        self._receive: Callable[[list[Delivery]], None] | None = None

    def open(self, channel: int, allowance: Allowance, receive: Callable[[list[Delivery]], None]) -> None:
        """Take deliveries from now on.

        Args:
            channel: the number of the channel that consumes.
            allowance: bounds the bytes held; where it is reached nothing more is read from the connection.
            receive: gets the deliveries of the channel, whatever consumer they are for, in order.
        """
        self.frames.take_from(channel, allowance)
        self._allowance = allowance
        self._receive = receive

    def next_frame(self) -> bytes | None:
        """Hand over the deliveries that come first; return the next frame that is none, if it is there."""
        frame = self.frames.next_frame()
        deliveries = self.frames.take_deliveries()
        if deliveries and self._receive is not None:
            self._receive(deliveries)
        return frame

    async def may_go_on(self) -> None:
        """Wait until what is held back may be held, but only for so long that the library can be told."""
        if self._allowance is None or self.frames.held_back is None:
            return
        try:
            async with asyncio.timeout(_HEARTBEAT_INTERVAL_S):
                await self._allowance.room_for(self.frames.held_back)
        except TimeoutError:
            pass


class TappedTransport(TransportFactory):
    """Opens the connection as the library would, and reads from it through a tap."""

    def __init__(self, tap: Tap) -> None:
        """Prepare for one connection.

        Args:
            tap: of this connection.
        """
        self._tap = tap

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect as the library would.

        Args:
            url: of the broker.
            kwargs: what the library passes to its own factories.

        Returns:
            The tapped reader, and the writer.

        Raises:
            AMQPConnectionError: the broker cannot be reached.
        """
        reader, writer = await plain_transport(url).create(url, limit=_BUFFER_BYTES, **kwargs)
        # The library only reads from it: all it asks for is here.
        return cast("asyncio.StreamReader", TappedReader(reader, self._tap)), writer


class TappedReader:
    """What the library reads from: frame by frame, those of deliveries left out."""

    def __init__(self, reader: asyncio.StreamReader, tap: Tap) -> None:
        self._reader = reader
        self._tap = tap
        #: The frame the library is being given, and how far.
        self._frame = b""
        self._at = 0
        self._told_at = time.monotonic()

    def at_eof(self) -> bool:
        """Whether nothing more will come."""
        return self._at == len(self._frame) and not self._tap.frames.has_rest and self._reader.at_eof()

    async def read(self, n: int = -1) -> bytes:
        """Read what is no frame: the library does, to say what it was sent instead."""
        rest = self._frame[self._at :] + self._tap.frames.rest()
        self._frame, self._at = b"", 0
        return rest or await self._reader.read(n)

    async def readexactly(self, n: int) -> bytes:
        """Read a part of a frame.

        Args:
            n: how many bytes; never more than are left of the frame.

        Raises:
            IncompleteReadError: the connection was closed.
            ConnectionError: it is lost, or what came is no AMQP.
        """
        if self._at == len(self._frame):
            self._frame, self._at = await self._next_frame(), 0
            self._told_at = time.monotonic()
        start, self._at = self._at, self._at + n
        return self._frame[start : self._at]

    async def _next_frame(self) -> bytes:
        tap = self._tap
        while (frame := tap.next_frame()) is None:
            if tap.frames.held_back is not None:
                await tap.may_go_on()
            elif chunk := await self._reader.read(_CHUNK_BYTES):
                tap.frames.feed(chunk)
            else:
                rest = tap.frames.rest()
                raise asyncio.IncompleteReadError(rest, len(rest) + 1)
            if time.monotonic() - self._told_at >= _HEARTBEAT_INTERVAL_S:
                return HEARTBEAT_FRAME
        return frame
