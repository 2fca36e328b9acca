"""An address of keys, over real connections: it answers, never does, or goes on without end."""

from __future__ import annotations

import asyncio
import contextlib
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal

from meter.local.machine import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.read_api import Issuer

_TICK_S = 0.01


class UnwillingIssuer:
    """What it does now may be changed at any time.

    Args:
        issuer: whose keys it has.
    """

    def __init__(self, issuer: Issuer) -> None:
        self.mood: Literal["answers", "hangs", "dawdles"] = "answers"
        #: How often its keys were asked for.
        self.asked = 0
        self._there = 0
        self.port = 0
        self._issuer = issuer

    @property
    def jwks_url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/jwks"

    async def times_asked(self) -> int:
        """How often its keys were asked for."""
        return self.asked

    async def still_there(self) -> int:
        """How many of those who asked have neither an answer nor given up."""
        return self._there

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection, in its present mood."""
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        self._there += 1
        try:
            with contextlib.suppress(ConnectionError):
                await self._send(reader, writer)
        finally:
            self._there -= 1
            writer.close()

    async def _send(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mood == "hangs":
            await reader.read()  # until the other side gives up
            return
        body = json.dumps({"keys": [self._issuer.public_jwk()]}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body))
        while self.mood == "dawdles":
            writer.write(b" ")
            await writer.drain()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(), _TICK_S)
                return
        writer.write(body)
        await writer.drain()


@asynccontextmanager
async def unwilling_issuer(issuer: Issuer) -> AsyncIterator[UnwillingIssuer]:
    """Serve on a free port."""
    unwilling = UnwillingIssuer(issuer)
    server = await asyncio.start_server(unwilling.answer, LOOPBACK, 0)
    unwilling.port = server.sockets[0].getsockname()[1]
    async with server:
        yield unwilling
