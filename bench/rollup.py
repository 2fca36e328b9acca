"""The sums of usage that settlement keeps beside the ledger: made, kept up and switched off from outside."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from bench.databases import SQL, execute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

#: The functions that note rows for the sums, and that add them up.
QUEUEING, SUMMING = "queue_for_rollup", "roll_up_usage"
#: Between two looks whether another transaction, that has to end first, has ended.
_AGAIN_SECONDS = 0.1


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
            if await connection.fetchval("select roll_up_usage('0 seconds')") is None:
                await asyncio.sleep(_AGAIN_SECONDS)
    finally:
        await connection.close()


async def make_due(dsn: str) -> None:
    """Let workers add up what comes into the queue after this as soon as they look, however little it is."""
    await execute(dsn, (SQL / "rollup_due.sql").read_text())


async def newest(dsn: str) -> datetime:
    """Tell when the last row came into the queue."""
    connection = await asyncpg.connect(dsn)
    try:
        moment: datetime = await connection.fetchval("select max(queued_at) from usage_rollup_queue")
        return moment
    finally:
        await connection.close()


async def queued(dsn: str, until: datetime) -> int:
    """Tell about how many ledger rows came into the queue until a moment and are in no sum yet."""
    connection = await asyncpg.connect(dsn)
    try:
        rows: int = await connection.fetchval((SQL / "rollup_queued.sql").read_text(), until)
        return rows
    finally:
        await connection.close()


@asynccontextmanager
async def switched_off(dsn: str, *functions: str) -> AsyncIterator[None]:
    """Let functions do nothing while the context lasts."""
    connection = await asyncpg.connect(dsn)
    try:
        replaced = await connection.fetch((SQL / "rollup_off.sql").read_text(), functions)
        try:
            for function in replaced:
                await connection.execute(function["idle"])
            yield
        finally:
            for function in replaced:
                await connection.execute(function["definition"])
    finally:
        await connection.close()
