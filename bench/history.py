"""A ledger with a past: rows like the ones that settlement writes, many times over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from bench.databases import SQL

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

_PARTS = 10
#: Steps that :func:`multiply` reports.
STEPS = _PARTS + 2
#: For this connection alone: what is loaded here need not survive a crash, and indexes are built in memory.
_SETTINGS = {"synchronous_commit": "off", "maintenance_work_mem": "1GB"}


async def multiply(dsn: str, *, rows: int, past: timedelta, step: Callable[[str], None]) -> None:
    """Repeat the rows of a ledger under new keys, spread evenly over the past, until there are so many.

    What was settled stays, and is the pattern: every row of the past is one of those with another key and
    another time, so that organizations, users and outcomes are spread as they are. Rows lie in the order of
    time, organizations mixed, as they would have; keys are UUIDv7 of their time. Balances do not follow.

    Args:
        dsn: the database, as superuser.
        rows: how many to have, those that were settled included; whole repetitions, so a few more or less.
        past: when the first row happened, before now.
        step: told of the progress, :data:`STEPS` times.
    """
    connection = await asyncpg.connect(dsn, server_settings=_SETTINGS)
    try:
        await _run(connection, "history_pattern")
        await _run(connection, "history_function")
        await _run(connection, "history_indexes_off")
        present = await connection.fetchval("select count(*) from credit_usage_attribution")
        repetitions = max(1, round(rows / present) - 1)
        for part in range(_PARTS):
            step("rows of the past")
            for number in range(repetitions * part // _PARTS, repetitions * (part + 1) // _PARTS):
                await connection.execute(
                    "select bench_repeat($1, $2)",
                    past * (1 - number / repetitions),
                    past * (1 - (number + 1) / repetitions),
                )
        step("indexes of the past")
        await _run(connection, "history_indexes_on")
        step("vacuum")
        await connection.execute("vacuum analyze")
    finally:
        await connection.close()


async def _run(connection: asyncpg.Connection, name: str) -> None:
    await connection.execute((SQL / f"{name}.sql").read_text())
