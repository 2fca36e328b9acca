"""What the queue of the sums carries: enough to add up what was charged, and the keys of everything else."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest
from tests.rollup import SETTLE, WRONG_SUMS, batch, rolled_up, summed_organizations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg
    from tests.private_servers import FreshDatabase


@pytest.fixture
async def pool(database: FreshDatabase) -> AsyncIterator[asyncpg.Pool]:
    """Sums are complete, so that from now on all that is queued is added to them; only beta is short."""
    async with summed_organizations(database) as opened:
        await opened.fetchval(SETTLE, batch(random.Random(1), 400))
        await rolled_up(opened)
        await opened.execute(
            "select add_credits_to_pool(id, 100000) from unnest(array['acme', 'gamma']) as id"
        )
        while await opened.fetchval("select fund_waiting_organizations(1000)"):
            pass
        await rolled_up(opened)
        yield opened


async def test_only_organizations_that_are_short_are_looked_up(pool: asyncpg.Pool) -> None:
    await pool.fetchval(SETTLE, batch(random.Random(2), 200))
    assert await pool.fetchval("select array_agg(looked_up) from usage_rollup_queue") == [["beta"]]
    await rolled_up(pool)
    assert await pool.fetch(WRONG_SUMS) == []


async def test_what_was_charged_is_added_up_without_the_ledger(pool: asyncpg.Pool) -> None:
    summed = "select coalesce(sum(entries), 0) from usage_by_service where span = 'hour' and org_id <> 'beta'"
    before = await pool.fetchval(summed)
    await pool.fetchval(SETTLE, batch(random.Random(2), 200))
    written = await pool.fetchval(
        "with gone as (delete from credit_usage_attribution usage using usage_rollup_queue note"
        " where usage.created_at = note.written_at and usage.org_id <> 'beta' returning 1)"
        " select count(*) from gone"
    )
    assert written > 80
    await rolled_up(pool)
    assert await pool.fetchval(summed) == before + written


async def test_transactions_of_one_moment_are_told_apart_when_a_day_becomes_busy(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        for seed in (2, 3, 4):
            await connection.fetchval(SETTLE, batch(random.Random(seed), 700))
    assert await pool.fetchval("select count(distinct written_at) from usage_rollup_queue") == 1
    while await pool.fetchval("select roll_up_usage('0 seconds', p_rows => 1, p_enough => 1)") is not None:
        assert await pool.fetch(WRONG_SUMS) == []
    assert await pool.fetchval("select count(*) from usage_of_user where span = 'hour'") > 0


async def test_keys_alone_as_earlier_versions_queued_them_are_looked_up(pool: asyncpg.Pool) -> None:
    await pool.fetchval(SETTLE, batch(random.Random(2), 200))
    await pool.execute(
        "update usage_rollup_queue set looked_up = null, allocation_ids = null, account_org_ids = null,"
        " account_users = null, service_types = null, service_names = null, quantities = null,"
        " accounts = null, kinds = null, credits = null, api_costs = null, occurred_at = null"
    )
    await pool.fetchval(SETTLE, batch(random.Random(3), 200))
    await rolled_up(pool)
    assert await pool.fetch(WRONG_SUMS) == []


async def test_accounts_known_by_name_alone_as_earlier_versions_queued_them_are_added_up(
    pool: asyncpg.Pool,
) -> None:
    await pool.fetchval(SETTLE, batch(random.Random(2), 200))
    await pool.execute("update usage_rollup_queue set allocation_ids = null")
    assert await pool.fetchval("select array_agg(looked_up) from usage_rollup_queue") == [["beta"]]
    await rolled_up(pool)
    assert await pool.fetch(WRONG_SUMS) == []


async def test_a_batch_of_which_some_is_known_carries_the_rest(pool: asyncpg.Pool) -> None:
    first, second = (json.loads(batch(random.Random(seed), 200)) for seed in (2, 3))
    await pool.fetchval(SETTLE, json.dumps(first))
    await pool.fetchval(SETTLE, json.dumps(first[:150] + second))
    keys = "select sum(cardinality(event_keys)), sum(cardinality(accounts)), sum(cardinality(credits))"
    counts = set(await pool.fetchrow(keys + " from usage_rollup_queue"))
    assert len(counts) == 1, counts
    await rolled_up(pool)
    assert await pool.fetch(WRONG_SUMS) == []


async def test_amounts_given_by_hand_are_rounded_once_for_rows_balances_and_sums(pool: asyncpg.Pool) -> None:
    events = json.loads(batch(random.Random(2), 60))
    for event in events:
        event |= {"quantity": 0.00000149, "credits": 1.00000051, "api_cost": 0.00000071, "occurred_at": None}
    await pool.fetchval(SETTLE, json.dumps(events))
    await rolled_up(pool)
    assert await pool.fetch(WRONG_SUMS) == []
    wrong_pools = (
        "select pool.org_id from organization_credit_pools pool where pool.used_credits <> (select"
        " sum(credits_used) from credit_usage_attribution usage where usage.org_id = pool.org_id"
        " and usage.outcome = 'charged')"
    )
    assert await pool.fetch(wrong_pools) == []


async def test_accounts_with_and_without_an_allocation_are_added_up_alike(pool: asyncpg.Pool) -> None:
    await pool.execute(
        "select allocate_credits_to_user(org_id, 'user-' || number, credits)"
        " from (values ('acme', 5000), ('gamma', 1)) as given (org_id, credits), generate_series(0, 3) number"
    )
    mixed = json.loads(batch(random.Random(2), 300))
    users = {f"user-{number}" for number in range(4)}
    allocated = [event for event in mixed if event["org_id"] != "beta" and event["user_id"] in users]
    charged = [event for event in allocated if event["org_id"] == "acme"]
    one_more = next(event for event in mixed if event["org_id"] == "acme" and event["user_id"] not in users)
    for number, events in enumerate((mixed, allocated, charged, [*charged, one_more])):
        fresh = [event | {"event_id": f"{number}-{event['event_id']}"} for event in events]
        await pool.fetchval(SETTLE, json.dumps(fresh))
    notes = await pool.fetch(
        "select account_users is not null as is_named, 0 = any (allocation_ids) as is_one_without_allocation,"
        " array(select unnest(looked_up) order by 1) as looked_up from usage_rollup_queue order by queued_at"
    )
    assert [tuple(note) for note in notes] == [
        (True, True, ["beta", "gamma"]),
        (False, False, ["gamma"]),
        (False, False, []),
        (True, True, []),
    ]
    await rolled_up(pool)
    assert await pool.fetch(WRONG_SUMS) == []


async def test_nothing_is_added_to_sums_that_are_not_complete(pool: asyncpg.Pool) -> None:
    await pool.execute(
        "select create_organization('delta'), set_pool_terms('delta', false),"
        " add_credits_to_pool('delta', 99000), allocate_credits_to_user('delta', 'user-1', 9000)"
    )
    events = [
        event | {"event_id": f"delta-{event['event_id']}", "org_id": "delta"}
        for event in json.loads(batch(random.Random(2), 300))
    ]
    await pool.fetchval(SETTLE, json.dumps(events))
    assert await pool.fetchval("select roll_up_usage('0 seconds')") > 200
    assert await pool.fetchval("select count(*) from usage_by_service where org_id = 'delta'") == 0
    await rolled_up(pool)
    assert await pool.fetch(WRONG_SUMS) == []
