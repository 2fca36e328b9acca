"""Settlement while others change the books: what counts is what is there once the pools are locked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
from tests.balances import WRONG_BALANCES
from tests.drafted_usage import drafted_usage as event
from tests.lock_waits import waiting_for_locks

from meter.db.outcomes import Outcome

if TYPE_CHECKING:
    from tests.private_servers import FreshDatabase

    from meter.db.outcomes import SettledEvent
    from meter.db.settlement import Settlement
    from meter.events import Usage


async def settled_while(
    database: FreshDatabase,
    owner: asyncpg.Connection,
    settlement: Settlement,
    batch: list[Usage],
    change: str,
) -> list[SettledEvent]:
    """Settle a batch that wrote its rows before it could see a change, and then waits for who makes it."""
    other = await asyncpg.connect(database.dsn)
    async with other.transaction():
        await other.execute("select from organization_credit_pools for update")
        await other.execute(change)
        settling = asyncio.create_task(settlement.settle(batch))
        await waiting_for_locks(owner)
    await other.close()
    return await settling


async def test_an_organization_purged_meanwhile_does_not_hold_up_its_neighbours(
    settlement: Settlement, owner: asyncpg.Connection, database: FreshDatabase
) -> None:
    await owner.execute("select create_organization('gone')")
    purger = await asyncpg.connect(database.dsn)
    purge = purger.transaction()
    await purge.start()
    await purger.execute("select purge_organization('gone')")
    settling = asyncio.create_task(settlement.settle([event("gone", credits=0), event(credits=1)]))
    await waiting_for_locks(owner)
    await purge.commit()
    await purger.close()
    settled = await settling
    assert [(each.outcome, each.reason) for each in settled] == [
        (Outcome.REFUSED, "unknown_organization"),
        (Outcome.CHARGED, None),
    ]
    orphans = await owner.fetchval("select count(*) from credit_usage_attribution where org_id = 'gone'")
    assert orphans == 0


async def test_an_allocation_given_or_required_meanwhile_counts(
    settlement: Settlement, owner: asyncpg.Connection, database: FreshDatabase
) -> None:
    change = """
    select allocate_credits_to_user('acme', 'alice', 5);
    select set_pool_terms('acme', p_allocation_required => true)
    """
    batch = [event(credits=5), event(credits=0), event(credits=1), event(user_id="bob", credits=1)]

    settled = await settled_while(database, owner, settlement, batch, change)

    assert [(each.outcome, each.reason) for each in settled] == [
        (Outcome.CHARGED, None),
        (Outcome.CHARGED, None),
        (Outcome.UNFUNDED, "allocation_exhausted"),
        (Outcome.UNFUNDED, "no_allocation"),
    ]
    assert await owner.fetch(WRONG_BALANCES, ["acme"]) == []


async def test_an_allocation_given_meanwhile_counts_though_none_is_required(
    settlement: Settlement, owner: asyncpg.Connection, database: FreshDatabase
) -> None:
    change = "select allocate_credits_to_user('acme', 'alice', 5)"

    settled = await settled_while(
        database, owner, settlement, [event(credits=5), event(credits=0), event(credits=1)], change
    )

    assert [(each.outcome, each.reason) for each in settled] == [
        (Outcome.CHARGED, None),
        (Outcome.CHARGED, None),
        (Outcome.UNFUNDED, "allocation_exhausted"),
    ]
    assert await owner.fetch(WRONG_BALANCES, ["acme"]) == []


async def test_an_allocation_required_meanwhile_is_asked_of_who_has_none(
    settlement: Settlement, owner: asyncpg.Connection, database: FreshDatabase
) -> None:
    change = "select set_pool_terms('acme', p_allocation_required => true)"

    (settled,) = await settled_while(database, owner, settlement, [event(credits=1)], change)

    assert (settled.outcome, settled.reason) == (Outcome.UNFUNDED, "no_allocation")
    assert await owner.fetch(WRONG_BALANCES, ["acme"]) == []


async def test_credits_that_came_meanwhile_pay_beside_a_pool_that_ran_short_meanwhile(
    settlement: Settlement, owner: asyncpg.Connection, database: FreshDatabase
) -> None:
    await owner.execute("select create_organization('poor')")
    await owner.execute("select set_pool_terms('poor', p_allocation_required => false)")
    change = "select add_credits_to_pool('poor', 10); select deduct_credits('acme', 'alice', 999999, 'llm')"

    settled = await settled_while(
        database, owner, settlement, [event(credits=10), event("poor", credits=10)], change
    )

    assert [(each.outcome, each.reason) for each in settled] == [
        (Outcome.UNFUNDED, "pool_exhausted"),
        (Outcome.CHARGED, None),
    ]
    assert await owner.fetch(WRONG_BALANCES, ["acme", "poor"]) == []
