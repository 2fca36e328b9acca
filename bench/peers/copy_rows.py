"""How fast the database takes the finished rows: binary COPY into a table with the same indexes."""

from __future__ import annotations

import asyncio
import io
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import asyncpg

from bench.databases import SQL

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROWS_A_TRANSACTION = 2_000
_CONNECTIONS = 2
#: The last place that a table can have.
_BEHIND_ALL = (2**32 - 1, 2**16 - 1)


async def copy_rows_again(dsn: str, *, rows: int) -> float:
    """Copy the ledger of a drained database into a new table of the same form, over two connections.

    The rows go in the order in which they were written.

    Args:
        dsn: the database, as superuser.
        rows: how many the ledger must hold.

    Returns:
        Seconds from the first COPY to the last commit; reading the rows out beforehand does not count.

    Raises:
        RuntimeError: the ledger, or the copy, holds another number of rows.
    """
    connections = [await asyncpg.connect(dsn) for _ in range(_CONNECTIONS)]
    try:
        chunks = await _ledger_in_chunks(connections[0], rows)
        await connections[0].execute((SQL / "copy_target.sql").read_text())
        await connections[0].execute("checkpoint")
        waiting = iter(chunks)
        began = time.perf_counter()
        async with asyncio.TaskGroup() as lanes:
            for connection in connections:
                lanes.create_task(_copy(connection, waiting))
        seconds = time.perf_counter() - began
        copied = await connections[0].fetchval("select count(*) from bench_copy")
        if copied != rows:
            raise RuntimeError(f"{rows} rows were to be copied and {copied} were")
        return seconds
    finally:
        for connection in connections:
            await connection.close()


async def _ledger_in_chunks(connection: asyncpg.Connection, rows: int) -> list[bytes]:
    found = await connection.fetchval("select count(*) from credit_usage_attribution")
    if found != rows:
        raise RuntimeError(f"the ledger should hold {rows} rows and holds {found}")
    # A scan that joins another in the middle, or one by several processes, would give another order.
    await connection.execute("set synchronize_seqscans = off; set max_parallel_workers_per_gather = 0")
    query = (SQL / "ledger_places.sql").read_text()
    places = [row["place"] for row in await connection.fetch(query, _ROWS_A_TRANSACTION)]
    return [await _chunk(connection, first, end) for first, end in pairwise([*places, _BEHIND_ALL])]


async def _chunk(connection: asyncpg.Connection, first: tuple[int, int], end: tuple[int, int]) -> bytes:
    chunk = io.BytesIO()
    query = (SQL / "ledger_chunk.sql").read_text()
    await connection.copy_from_query(query, str(first), str(end), output=chunk, format="binary")
    return chunk.getvalue()


async def _copy(connection: asyncpg.Connection, waiting: Iterator[bytes]) -> None:
    for chunk in waiting:
        await connection.copy_to_table("bench_copy", source=io.BytesIO(chunk), format="binary")
