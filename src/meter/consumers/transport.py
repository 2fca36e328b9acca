"""The bytes of the connection, guarded: no message may be able to break it.

The broker passes the properties of a message on without looking at them. Where they cannot be decoded (a
content type that is not UTF-8 is enough) the AMQP library gives up the connection, the broker delivers
the message again to the next one, and so for ever. Such properties are taken out before the library sees
them; without a content type the message becomes a dead letter like any other. Looking at every header
costs a tenth of the speed with one event a message, so it is only done once a connection was lost to one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from aiormq import TransportFactory
from pamqp.constants import FRAME_HEADER
from pamqp.header import ContentHeader

from meter.amqp import plain_transport

if TYPE_CHECKING:
    import asyncio

    from yarl import URL

_FRAME_TYPE_BYTES = 1
_FRAME_START_BYTES = 6
#: Class, weight and body size stand before the properties.
_BEFORE_PROPERTIES_BYTES = 12
_NO_PROPERTIES = b"\x00\x00"


def with_readable_properties(header: bytes) -> bytes:
    """Take the properties out of a content header where they cannot be decoded.

    Args:
        header: the payload of the frame and its end mark.

    Returns:
        The same bytes, or as many with the flags saying that no property follows.
    """
    try:
        ContentHeader().unmarshal(header[:-1])
    except Exception:  # noqa: BLE001 - whatever the decoder trips over, it must not be the connection
        flags_end = _BEFORE_PROPERTIES_BYTES + len(_NO_PROPERTIES)
        return header[:_BEFORE_PROPERTIES_BYTES] + _NO_PROPERTIES + header[flags_end:]
    return header


class GuardedTransport(TransportFactory):
    """Opens connections whose content headers are looked at before the AMQP library reads them."""

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect as the library would.

        Args:
            url: of the broker.
            kwargs: what the library passes to its own factories.

        Returns:
            The guarded reader and the writer.

        Raises:
            AMQPConnectionError: the broker cannot be reached.
        """
        reader, writer = await plain_transport(url).create(url, **kwargs)
        # The library only reads from it: all it asks for is here.
        return cast("asyncio.StreamReader", _GuardedReader(reader)), writer


class _GuardedReader:
    """Hands out frames as the library asks for them: type, rest of the start, payload with its end mark."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._in_header = False

    def at_eof(self) -> bool:
        return self._reader.at_eof()

    async def read(self, n: int = -1) -> bytes:
        return await self._reader.read(n)

    async def readexactly(self, n: int) -> bytes:
        read = await self._reader.readexactly(n)
        if n == _FRAME_TYPE_BYTES:
            self._in_header = read[0] == FRAME_HEADER
        elif n != _FRAME_START_BYTES and self._in_header:
            self._in_header = False
            return with_readable_properties(read)
        return read
