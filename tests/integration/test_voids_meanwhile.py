"""Voids of voids settled at the same time: every answer is one that some order of the batches gives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest
from tests.lock_waits import waiting_for_locks
from tests.void_events import books_of_acme, outcomes, pool_of, void

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import FreshDatabase

    from meter.db.settlement import Settlement
    from meter.events import Event


@pytest.fixture
async def owner(database: FreshDatabase) -> AsyncIterator[asyncpg.Connection]:
    async with books_of_acme(database.dsn) as connection:
        yield connection


async def settled_together(
    database: FreshDatabase, settlement: Settlement, first: list[Event], second: list[Event]
) -> tuple[list[str], list[str]]:
    """Settle two batches that do not see each other until both have written; the first goes on first."""
    holder, watcher = await asyncpg.connect(database.dsn), await asyncpg.connect(database.dsn)
    settling = []
    async with holder.transaction():
        await holder.execute("select from organization_credit_pools for update")
        for waiting, batch in enumerate((first, second), start=1):
            settling.append(asyncio.create_task(settlement.settle(batch)))
            await waiting_for_locks(watcher, waiting)
    before, after = await asyncio.gather(*settling)
    await asyncio.gather(holder.close(), watcher.close())
    return outcomes(before), outcomes(after)


async def test_a_void_refused_for_what_it_names_is_a_conflict_once_its_key_is_taken(
    settlement: Settlement, owner: asyncpg.Connection, database: FreshDatabase
) -> None:
    first = [void("named", "key")]
    second = [void("event", "named"), void("named", "key", reason="another")]

    before, after = await settled_together(database, settlement, first, second)

    assert (before, after) == (["void"], ["void", "conflict"])
    assert await pool_of(owner) == (0, 0, 0, 0, 1)


async def test_a_void_is_refused_once_what_it_names_has_come_as_a_void(
    settlement: Settlement, owner: asyncpg.Connection, database: FreshDatabase
) -> None:
    # The first batch did not see "key", so it comes before the second, which must then see "named".
    first = [void("event", "named"), void("key", "another")]
    second = [void("named", "key")]

    before, after = await settled_together(database, settlement, first, second)

    assert (before, after) == (["void", "void"], ["void_of_void"])
    assert await pool_of(owner) == (0, 0, 0, 0, 2)
