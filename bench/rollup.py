"""The sums of usage that settlement keeps beside the ledger: made, kept up and switched off from outside."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from bench.databases import SQL, execute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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


async def queued(dsn: str) -> int:
    """Count the ledger rows that the sums do not hold yet."""
    connection = await asyncpg.connect(dsn)
    try:
        rows: int = await connection.fetchval((SQL / "rollup_queued.sql").read_text())
        return rows
    finally:
        await connection.close()


async def step(dsn: str) -> tuple[int, float]:
    """Add up what is in the queue, as much as a worker does at once.

    Returns:
        How many ledger rows that were, and the seconds it took.
    """
    connection = await asyncpg.connect(dsn)
    try:
        began = time.perf_counter()
        rows = await connection.fetchval(_ROLL_UP)
        return rows or 0, time.perf_counter() - began
    finally:
        await connection.close()


@asynccontextmanager
async def switched_off(dsn: str) -> AsyncIterator[None]:
    """Let settlement note nothing for the sums while the context lasts."""
    await execute(dsn, (SQL / "rollup_off.sql").read_text())
    try:
        yield
    finally:
        await execute(dsn, (SQL / "rollup_on.sql").read_text())
