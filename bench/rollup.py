"""The sums of usage that settlement keeps beside the ledger: made, kept up and switched off from outside."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from bench.databases import SQL, execute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

#: How often new rows are added to the sums while settlement runs; by itself the worker does it less often.
_EVERY_SECONDS = 1.0
#: Between two looks whether another transaction, that has to end first, has ended.
_AGAIN_SECONDS = 0.1
_ROLL_UP = "select roll_up_usage('0 seconds')"


async def sum_afresh(dsn: str) -> None:
    """Add up a ledger of which rows were written past settlement."""
    await execute(dsn, (SQL / "rollup_afresh.sql").read_text())
    await catch_up(dsn)
    await execute(dsn, "vacuum analyze")


async def catch_up(dsn: str) -> None:
    """Add up until nothing is left."""
    behind = (SQL / "rollup_behind.sql").read_text()
    connection = await asyncpg.connect(dsn)
    try:
        while await connection.fetchval(behind):
            if await connection.fetchval(_ROLL_UP) is None:
                await asyncio.sleep(_AGAIN_SECONDS)
    finally:
        await connection.close()


@asynccontextmanager
async def kept_up(dsn: str) -> AsyncIterator[None]:
    """Add up every second while the context lasts, beside what the worker does itself."""
    connection = await asyncpg.connect(dsn)

    async def keep_up() -> None:
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            await connection.fetchval(_ROLL_UP)

    keeping_up = asyncio.create_task(keep_up())
    try:
        yield
    finally:
        keeping_up.cancel()
        await asyncio.wait([keeping_up])
        await connection.close()


@asynccontextmanager
async def switched_off(dsn: str) -> AsyncIterator[None]:
    """Let settlement note nothing for the sums while the context lasts."""
    await execute(dsn, (SQL / "rollup_off.sql").read_text())
    try:
        yield
    finally:
        await execute(dsn, (SQL / "rollup_on.sql").read_text())
