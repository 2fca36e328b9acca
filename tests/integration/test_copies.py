"""A copy of what is being settled does not wait at its key in the database, with all that is in its batch."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
from tests.drafted_usage import drafted_usage as event
from tests.lock_waits import waiting_for_locks

from meter.consumers.copies import CoalescedSettlement

if TYPE_CHECKING:
    from tests.private_servers import FreshDatabase

    from meter.db.settlement import Settlement

_DEADLINE_S = 30
_WRITTEN = "select count(*) from credit_usage_attribution where org_id = 'zeta'"


async def test_what_comes_beside_a_copy_is_committed_while_the_original_still_waits(
    settlement: Settlement, database: FreshDatabase
) -> None:
    coalesced = CoalescedSettlement(settlement)
    owner, other = await asyncpg.connect(database.dsn), await asyncpg.connect(database.dsn)
    for org_id in ("acme", "zeta"):
        await owner.execute("select create_organization($1)", org_id)
    original = event("acme")
    async with other.transaction():
        await other.execute("select from organization_credit_pools where org_id = 'acme' for update")
        first = asyncio.create_task(coalesced.settle([original]))
        await waiting_for_locks(owner)
        second = asyncio.create_task(coalesced.settle([original, event("zeta")]))
        async with asyncio.timeout(_DEADLINE_S):
            while not await owner.fetchval(_WRITTEN):
                pass
        assert not second.done()
    assert [each.outcome for each in await first] == ["unpriced"]
    assert [each.outcome for each in await second] == ["duplicate", "unpriced"]
    assert await owner.fetchval("select count(*) from credit_usage_attribution") == 2
    for connection in (owner, other):
        await connection.close()
