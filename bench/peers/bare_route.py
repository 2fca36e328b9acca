"""What a service would write first to show a balance: one Starlette route with one query through asyncpg.

It asks nobody who they are, checks no membership, has no request ids, headers, limits or metrics; it is
served as ``meter api`` is. Arguments: the port to listen on.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import asyncpg
import uvloop
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bench.databases import SQL
from bench.peers.process import DATABASE_URL
from meter.db.reading import READER_MAX_CONNECTIONS
from meter.local.machine import LOOPBACK
from meter.operations import serving

if TYPE_CHECKING:
    from starlette.requests import Request


def bare_app(pool: asyncpg.Pool) -> Starlette:
    """Build the app.

    Args:
        pool: as many connections as ``meter api`` has.
    """
    query = (SQL / "bare_balance.sql").read_text()

    async def balance(request: Request) -> Response:
        row = await pool.fetchrow(query, request.path_params["org_id"])
        return JSONResponse({name: str(amount) for name, amount in row.items()})

    async def ready(_request: Request) -> Response:
        return Response()

    return Starlette(routes=[Route("/credits/{org_id}", balance), Route("/readyz", ready)])


async def _serve(dsn: str, port: int) -> None:
    async with (
        asyncpg.create_pool(dsn, min_size=0, max_size=READER_MAX_CONNECTIONS) as pool,
        serving(bare_app(pool), LOOPBACK, port),
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(os.environ[DATABASE_URL], int(sys.argv[1])))
