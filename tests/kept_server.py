"""A PostgreSQL that is started again whenever it ends, as an init system does."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import asyncpg

from meter.local.child import ServerNotStarted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from meter.local.postgres import PostgresServer

#: A server that cannot start is not tried without end.
_PAUSE_S = 0.2


@asynccontextmanager
async def kept(server: PostgresServer) -> AsyncIterator[None]:
    """Keep a running server running, for as long as the context lasts.

    Args:
        server: that runs.
    """
    starting = asyncio.Lock()
    keeping = asyncio.create_task(_keep(server, starting))
    try:
        yield
    finally:
        # Who is cancelled while it starts a server stops it.
        async with starting:
            keeping.cancel()
        await asyncio.wait((keeping,))


async def _keep(server: PostgresServer, starting: asyncio.Lock) -> None:
    while True:
        await server.child.wait()
        await asyncio.sleep(_PAUSE_S)
        async with starting:
            with suppress(ServerNotStarted, asyncpg.PostgresError, OSError):
                await server.start()
