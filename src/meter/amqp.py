"""A connection to the broker, made by aio-pika, that can always be dropped.

Never its robust mode, which is known to come back without consumers: what is lost is dropped and built anew
by whoever holds it. Channels are those of the protocol library below aio-pika; they cost less a message.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import aio_pika
from aio_pika.abc import ConnectionParameter
from aiormq import TransportFactory
from aiormq.connection import TCPTransportFactory, TLSTransportFactory
from yarl import URL

from meter.errors import MeterError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiormq.abc import AbstractConnection

#: How long opening a connection may take, in seconds; a half-open network never answers.
CONNECT_SECONDS = 10.0
#: What both sides agree on: who is idle says something every half of it. RabbitMQ's own advice is 5 to 20 s.
HEARTBEAT_SECONDS = 5
#: A broker that says nothing for so long, in seconds, is gone, whatever TCP knows: it missed two heartbeats.
#: The library itself waits for six.
_SILENCE_SECONDS = HEARTBEAT_SECONDS + 1.5
#: A timer that comes so late says that the whole process did nothing.
_STOOD_STILL_SECONDS = 1.0
#: How long the good-bye to a healthy broker may take, in seconds.
_GOODBYE_SECONDS = 0.5

#: A broker that refuses so many times in a row is tried over a new connection, to another node where there
#: are several: a channel that was opened while a queue elected its leader was seen to be refused for as long
#: as it lasted (RabbitMQ 3.10), by a node that was well otherwise.
REFUSALS_MAX = 3


class BrokerLost(MeterError):
    """The broker cannot be reached; what was on its way may or may not have arrived."""

    retryable = True


@asynccontextmanager
async def broker_connection(
    url: str,
    *,
    name: str,
    connect_seconds: float = CONNECT_SECONDS,
    transport_factory: TransportFactory | None = None,
) -> AsyncIterator[AbstractConnection]:
    """Open a connection for as long as the context lasts; one on which the broker falls silent is lost.

    Args:
        url: ``amqp://`` or ``amqps://``; parameters (``heartbeat``, ``cafile``, …) in its query count before
            what is said here.
        name: what the broker's operators see as the connection's name.
        connect_seconds: how long opening it may take.
        transport_factory: opens the socket; as the library would where None.

    Yields:
        The connection; its ``closing`` ends when it is lost.

    Raises:
        BrokerLost: it could not be opened.
    """
    address = URL(url)
    silence: float | None = _SILENCE_SECONDS
    if "heartbeat" in address.query:
        # Who asks for heartbeats of their own leaves it to the library to miss them.
        silence = None
    else:
        address = address.update_query(heartbeat=HEARTBEAT_SECONDS)
    transport = _Transport(transport_factory or plain_transport(address), silence)
    connection = _Connection(
        address, transport_factory=transport, client_properties={"connection_name": name}
    )
    try:
        yield await _opened(connection, connect_seconds)
    finally:
        await _closed(connection, transport)


def plain_transport(address: URL) -> TransportFactory:
    """Choose how the library would open the socket.

    Args:
        address: of the broker.

    Returns:
        With TLS for ``amqps://``.
    """
    return TLSTransportFactory() if address.scheme == "amqps" else TCPTransportFactory()


def said(reason: BaseException | None) -> str:
    """Put into words why a connection or channel ended.

    Args:
        reason: what it ended with; None or a cancelling when nothing was said.

    Returns:
        Words for a log line.
    """
    if reason is None or isinstance(reason, asyncio.CancelledError):
        return "the connection was closed"
    return f"{type(reason).__name__}: {reason}"


def look_at(task: asyncio.Future[Any]) -> None:
    """Take note of how a task ended that nobody waits for any more; asyncio would log it as never retrieved.

    Args:
        task: a task that is done.
    """
    if not task.cancelled():
        task.exception()


async def _opened(connection: _Connection, seconds: float) -> AbstractConnection:
    opening = asyncio.ensure_future(connection.connect())
    opening.add_done_callback(look_at)
    try:
        done, _ = await asyncio.wait({opening}, timeout=seconds)
    finally:
        opening.cancel()
    if not done:
        raise BrokerLost(f"the broker did not answer for {seconds:g} s")
    if not opening.cancelled() and (failure := opening.exception()) is not None:
        raise BrokerLost(said(failure)) from failure
    if opening.cancelled() or connection.transport is None:
        raise BrokerLost("the connection was closed while it was opened")
    return connection.transport.connection


async def _closed(connection: _Connection, transport: _Transport) -> None:
    # Closing cannot be cancelled: it still waits then for the socket to drain, which a silent peer never lets
    # it. It ends as soon as the socket is gone.
    closing = asyncio.ensure_future(connection.close())
    closing.add_done_callback(look_at)
    try:
        await asyncio.wait({closing}, timeout=0 if transport.is_silent else _GOODBYE_SECONDS)
    finally:
        transport.abort()
    await asyncio.wait({closing}, timeout=_GOODBYE_SECONDS)


class _Transport(TransportFactory):
    """Remembers the socket of a connection, so that it can be dropped without a handshake."""

    def __init__(self, factory: TransportFactory, silence_seconds: float | None) -> None:
        self._factory = factory
        self._silence_seconds = silence_seconds
        self._writer: asyncio.StreamWriter | None = None
        self._listener: _Listener | None = None

    async def create(self, url: Any, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, self._writer = await self._factory.create(url, **kwargs)
        if self._silence_seconds is None:
            return reader, self._writer
        # The library only reads from it: all it asks for is there.
        self._listener = _Listener(reader, self._silence_seconds)
        return cast("asyncio.StreamReader", self._listener), self._writer

    @property
    def is_silent(self) -> bool:
        """Whether a heartbeat is missing: who does not say even that answers no good-bye."""
        return self._listener is not None and self._listener.silent_seconds > HEARTBEAT_SECONDS

    def abort(self) -> None:
        if self._listener is not None:
            self._listener.stop()
        if self._writer is not None:
            self._writer.transport.abort()


class _Listener:
    """What the library reads from; raises once the broker has been silent for too long.

    One timer looks after all reads: a timeout for each would cost more than the reading.
    """

    def __init__(self, reader: asyncio.StreamReader, silence_seconds: float) -> None:
        self._reader = reader
        self._silence_seconds = silence_seconds
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        #: Who waits for the broker at the moment, and since when.
        self._waiting: asyncio.Task[Any] | None = None
        self._waits_since = 0.0
        self._gave_up = False
        self._due = self._heard_at + silence_seconds
        self._timer = self._loop.call_at(self._due, self._look)

    @property
    def silent_seconds(self) -> float:
        return self._loop.time() - self._heard_at

    def at_eof(self) -> bool:
        return self._reader.at_eof()

    async def read(self, n: int = -1) -> bytes:
        return await self._reader.read(n)

    async def readexactly(self, n: int) -> bytes:
        self._waits_since = self._loop.time()
        self._waiting = task = asyncio.current_task()
        try:
            heard = await self._reader.readexactly(n)
        except asyncio.CancelledError:
            if not self._gave_up or task is None or task.uncancel():
                raise
            raise ConnectionError(f"the broker said nothing for {self._silence_seconds:g} s") from None
        finally:
            self._waiting = None
        self._heard_at = self._loop.time()
        return heard

    def stop(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        now, late = self._loop.time(), self._loop.time() - self._due
        since = now if self._waiting is None else self._waits_since
        if self._waiting is not None and now - since >= self._silence_seconds:
            if late < _STOOD_STILL_SECONDS:
                self._gave_up = True
                self._waiting.cancel()
                return
            # Late itself, this process stood still, and what the broker said meanwhile is yet to be read.
            since = self._waits_since = now
        self._due = since + self._silence_seconds
        self._timer = self._loop.call_at(self._due, self._look)


def _as_it_is(value: Any) -> Any:
    return value


class _Connection(aio_pika.Connection):
    """Hands the transport on to the protocol library."""

    PARAMETERS = (
        *aio_pika.Connection.PARAMETERS,
        ConnectionParameter(name="transport_factory", parser=_as_it_is, is_kwarg=True),
    )
