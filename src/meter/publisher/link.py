"""One AMQP connection with one confirming channel; it is built anew rather than mended.

This uses aiormq, the protocol library below aio-pika, because it lets us own the socket: a connection whose
peer is silently gone can only be dropped by aborting its transport; closing waits for bytes nobody will read.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiormq
import aiormq.abc
from aiormq.connection import TCPTransportFactory, TLSTransportFactory

from meter.errors import ConfigurationError, MeterError
from meter.events import CONTENT_TYPE_BATCH, encode_batch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from meter.publisher.outbox import Message

EXCHANGE = "meter.usage"
#: How long opening the connection and its channel may take, in seconds; a half-open network never answers.
CONNECT_SECONDS = 10.0
#: How long a confirm may take, in seconds, before the connection is given up. A healthy quorum queue needs
#: milliseconds, one that elects a leader seconds; a needless reconnect costs only duplicates.
CONFIRM_SECONDS = 30.0
#: How long the good-bye to a healthy broker may take, in seconds.
_GOODBYE_SECONDS = 1.0
_PERSISTENT = 2


def checked_url(url: str) -> str:
    """Return ``url`` if it is an AMQP address.

    Raises:
        ConfigurationError: it is not; the message does not repeat it, because it may hold a password.
    """
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in ("amqp", "amqps") and parts.hostname and (parts.port or 1) > 0:
            return url
    raise ConfigurationError(
        "the broker's address must look like amqp://user:password@host:5672/vhost (or amqps://…)"
    )


def place_of(url: str) -> str:
    """Where the broker is, without who we are: fit for logs."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


class BrokerLost(MeterError):
    """The broker cannot be reached; what was on its way may or may not have arrived."""

    retryable = True


class Link:
    """An open connection, ready to publish."""

    def __init__(
        self, connection: aiormq.Connection, channel: aiormq.abc.AbstractChannel, confirm_seconds: float
    ) -> None:
        self._connection = connection
        self._channel = channel
        self._confirm_seconds = confirm_seconds

    async def publish(self, message: Message) -> None:
        """Send a message and wait until the broker has it.

        Raises:
            aiormq.DeliveryError: the broker refused it, or (``PublishError``) had no queue for it.
            BrokerLost: the connection is gone or does not answer; the message may or may not have arrived.
        """
        await self._connection.ready()
        publishing = asyncio.ensure_future(
            self._channel.basic_publish(
                encode_batch(message.events),
                exchange=EXCHANGE,
                routing_key=message.routing_key,
                mandatory=True,
                properties=aiormq.spec.Basic.Properties(
                    content_type=CONTENT_TYPE_BATCH,
                    delivery_mode=_PERSISTENT,
                    headers={"meter-published-at": time.time_ns() // 1_000},
                ),
            )
        )
        publishing.add_done_callback(_looked_at)
        try:
            await self._until_confirmed(publishing)
        finally:
            publishing.cancel()

    async def lost(self) -> None:
        """Wait until the connection or its channel is gone.

        Raises:
            BrokerLost: always; with the reason.
        """
        closings = (self._channel.closing, self._connection.closing)
        done, _ = await asyncio.wait(closings, return_when=asyncio.FIRST_COMPLETED)
        closing = done.pop()
        reason = None if closing.cancelled() else closing.exception()
        raise BrokerLost(_said(reason))

    async def _until_confirmed(self, publishing: asyncio.Future[Any]) -> None:
        while not (await asyncio.wait({publishing}, timeout=self._confirm_seconds))[0]:
            if not await self._is_blocked():
                raise BrokerLost(f"the broker confirmed nothing for {self._confirm_seconds:g} s")
            # It will confirm once it reads again; a new connection would only be blocked as well. Should this
            # one break meanwhile, ``lost`` ends the wait.
            await self._connection.ready()
        # aiormq cancels what is pending on a closed channel; that is not a cancelling of our task.
        if publishing.cancelled():
            raise BrokerLost("the channel was closed")
        if (failure := publishing.exception()) is None:
            return
        if isinstance(failure, aiormq.DeliveryError):
            raise failure
        raise BrokerLost(_said(failure)) from failure

    async def _is_blocked(self) -> bool:
        # A broker that is short of memory or disk says so and stops reading.
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await self._connection.ready()
            return False
        return True


@asynccontextmanager
async def connected(url: str, *, name: str, confirm_seconds: float = CONFIRM_SECONDS) -> AsyncIterator[Link]:
    """Open a connection for as long as the context lasts.

    Args:
        url: ``amqp://`` or ``amqps://``; aiormq's parameters (``heartbeat``, ``cafile``, …) in its query.
        name: what the broker's operators see as the connection's name.
        confirm_seconds: how long a confirm may take before the connection counts as lost.

    Raises:
        BrokerLost: it could not be opened.
    """
    transport = _Transport(tls=urlsplit(url).scheme == "amqps")
    connection = aiormq.Connection(
        url, transport_factory=transport, client_properties={"connection_name": name}
    )
    try:
        yield await _opened(connection, confirm_seconds)
    finally:
        await _closed(connection, transport)


async def _closed(connection: aiormq.Connection, transport: _Transport) -> None:
    # Closing cannot be cancelled: aiormq still waits then for the socket to drain, which a silent peer never
    # lets it. It ends as soon as the socket is gone.
    closing = asyncio.ensure_future(connection.close())
    closing.add_done_callback(_looked_at)
    try:
        await asyncio.wait({closing}, timeout=_GOODBYE_SECONDS)
    finally:
        transport.abort()
    await asyncio.wait({closing}, timeout=_GOODBYE_SECONDS)


async def _opened(connection: aiormq.Connection, confirm_seconds: float) -> Link:
    opening = asyncio.ensure_future(_open_channel(connection))
    opening.add_done_callback(_looked_at)
    try:
        done, _ = await asyncio.wait({opening}, timeout=CONNECT_SECONDS)
    finally:
        opening.cancel()
    if not done:
        raise BrokerLost(f"the broker did not answer for {CONNECT_SECONDS:g} s")
    if opening.cancelled():
        raise BrokerLost("the connection was closed while it was opened")
    if (failure := opening.exception()) is not None:
        raise BrokerLost(_said(failure)) from failure
    return Link(connection, opening.result(), confirm_seconds)


async def _open_channel(connection: aiormq.Connection) -> aiormq.abc.AbstractChannel:
    await connection.connect()
    return await connection.channel(publisher_confirms=True)


def _looked_at(task: asyncio.Future[Any]) -> None:
    # Nobody waits any more when our own task was cancelled; asyncio would log the failure as never retrieved.
    if not task.cancelled():
        task.exception()


def _said(reason: BaseException | None) -> str:
    if reason is None or isinstance(reason, asyncio.CancelledError):
        return "the connection was closed"
    return f"{type(reason).__name__}: {reason}"


class _Transport(aiormq.TransportFactory):
    """Remembers the socket of a connection, so that it can be dropped without a handshake."""

    def __init__(self, *, tls: bool) -> None:
        self._factory = TLSTransportFactory() if tls else TCPTransportFactory()
        self._writer: asyncio.StreamWriter | None = None

    async def create(self, url: Any, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, self._writer = await self._factory.create(url, **kwargs)
        return reader, self._writer

    def abort(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
