"""The sums of usage: with the queue they are the ledger, whatever happens at the same time."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest
from tests.rollup import ORGANIZATIONS, ROLL_UP, SETTLE, WRONG_SUMS, batch, rolled_up, summed_organizations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg
    from tests.private_servers import FreshDatabase


@pytest.fixture
async def pool(database: FreshDatabase) -> AsyncIterator[asyncpg.Pool]:
    async with summed_organizations(database) as opened:
        yield opened


#: Of the events with these numbers, as batches have them.
TAKE_BACK = """
select settle_voids((
    select json_agg(json_build_object(
        'org_id', ($2::text[])[number % 3 + 1], 'event_key', gen_random_uuid(), 'source', 's',
        'target_key', usage_event_key('s', number::text), 'metadata', json_build_object()))
    from unnest($1::integer[]) as number))
"""


async def test_sums_and_queue_are_the_ledger_while_everything_happens_at_once(pool: asyncpg.Pool) -> None:
    chance = random.Random(8)
    settled = asyncio.Event()
    # More than there is, so that something waits for credits from the first moment on.
    await pool.fetchval(SETTLE, batch(chance, 400))

    async def settle(batches: int) -> None:
        for _ in range(batches):
            await pool.fetchval(SETTLE, batch(chance))
            await pool.fetchval(TAKE_BACK, chance.sample(range(3_000), 12), ORGANIZATIONS)

    async def fund() -> None:
        while not settled.is_set():
            await pool.fetchval("select add_credits_to_pool($1, 60)", chance.choice(ORGANIZATIONS))

    async def roll_up() -> None:
        while not settled.is_set():
            await pool.fetchval(ROLL_UP)

    async def look() -> int:
        looked = 0
        while not settled.is_set():
            assert await pool.fetch(WRONG_SUMS) == []
            looked += 1
        return looked

    async def all_settled() -> None:
        await asyncio.gather(*(settle(12) for _ in range(3)))
        settled.set()

    async with asyncio.timeout(120):
        *_, looked = await asyncio.gather(all_settled(), fund(), roll_up(), roll_up(), look())
    assert looked > 0
    await rolled_up(pool)
    assert await pool.fetch(WRONG_SUMS) == []
    assert await pool.fetchval("select count(*) from usage_rollup_queue") == 0
    summed = await pool.fetchval("select sum(entries) from usage_by_service where span = 'hour'")
    busy_days = (
        "select count(*) filter (where entries >= busy_day()), count(*) from usage_by_user where span = 'day'"
    )
    busy, days = await pool.fetchrow(busy_days)
    assert 0 < busy < days, (busy, days)
    rows = "select count(*) from credit_usage_attribution where "
    assert summed == await pool.fetchval(rows + "outcome <> 'void'") > 500
    assert await pool.fetchval(rows + "entry > 0 and counterpart_key is null") > 0
    assert await pool.fetchval(rows + "entry > 0 and counterpart_key is not null") > 0


async def test_what_was_rolled_back_is_in_no_sum(pool: asyncpg.Pool) -> None:
    await pool.fetchval(SETTLE, batch(random.Random(1)))
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.fetchval(SETTLE, batch(random.Random(2)))
        await transaction.rollback()
    assert await rolled_up(pool) == await pool.fetchval("select count(*) from credit_usage_attribution")
    assert await pool.fetch(WRONG_SUMS) == []


async def test_a_replay_adds_nothing(pool: asyncpg.Pool) -> None:
    for _ in range(2):
        await pool.fetchval(SETTLE, batch(random.Random(1)))
        await rolled_up(pool)
    assert await pool.fetch(WRONG_SUMS) == []


async def test_small_organizations_and_young_queues_are_left_alone(pool: asyncpg.Pool) -> None:
    await pool.fetchval(SETTLE, batch(random.Random(1)))
    assert await pool.fetchval("select roll_up_usage()") is None
    assert await pool.fetchval("select roll_up_usage('0 seconds')") > 0
    assert await pool.fetchval("select count(*) from usage_by_service") == 0
    assert await pool.fetchval("select count(*) from rolled_up_organizations where is_complete") == 0


async def test_first_sums_wait_while_much_comes_in_unless_they_are_of_very_many(pool: asyncpg.Pool) -> None:
    complete = "select count(*) from rolled_up_organizations where is_complete"
    roll_up = "select roll_up_usage('-1 hour', p_enough => $1)"
    much_in_no_time = "update usage_rollup_queue set queued_at = clock_timestamp() + interval '1 minute'"
    await pool.fetchval(SETTLE, batch(random.Random(1)))
    await pool.execute(much_in_no_time)
    assert await pool.fetchval(roll_up, 10) > 0
    assert await pool.fetchval(complete) == 0
    await pool.fetchval(SETTLE, batch(random.Random(2)))
    await pool.execute(much_in_no_time)
    assert await pool.fetchval(roll_up, 1) > 0
    assert await pool.fetchval(complete) == 1
    while await pool.fetchval(roll_up, 10) is not None:
        pass
    assert await pool.fetchval(complete) == len(ORGANIZATIONS)
    assert await pool.fetch(WRONG_SUMS) == []


async def test_one_at_a_time_sums(pool: asyncpg.Pool) -> None:
    await pool.fetchval(SETTLE, batch(random.Random(1)))
    async with pool.acquire() as connection, connection.transaction():
        assert await connection.fetchval(ROLL_UP) > 0
        assert await pool.fetchval(ROLL_UP) is None


async def test_a_ledger_from_before_the_sums_is_summed_when_older_transactions_have_ended(
    pool: asyncpg.Pool,
) -> None:
    await pool.fetchval(SETTLE, batch(random.Random(1)))
    await pool.execute("delete from usage_rollup_queue")
    older = await pool.acquire()
    transaction = older.transaction()
    await transaction.start()
    await older.fetchval(SETTLE, batch(random.Random(2)))
    await older.execute("delete from usage_rollup_queue")
    assert [await pool.fetchval(ROLL_UP) for _ in range(2)] == [None, None]
    await transaction.commit()
    await pool.release(older)
    await pool.fetchval(SETTLE, batch(random.Random(3)))
    async with asyncio.timeout(30):
        while not await pool.fetchval("select bool_and(is_complete) from rolled_up_organizations"):
            await pool.fetchval(ROLL_UP)
    await rolled_up(pool)
    assert await pool.fetch(WRONG_SUMS) == []
    summed = await pool.fetchval("select sum(entries) from usage_by_user where span = 'week'")
    assert summed == await pool.fetchval("select count(*) from credit_usage_attribution")


async def test_a_purged_organization_leaves_no_sums(pool: asyncpg.Pool) -> None:
    for seed in (1, 2):
        await pool.fetchval(SETTLE, batch(random.Random(seed)))
        await rolled_up(pool)
    await pool.fetchval(SETTLE, batch(random.Random(3)))
    await pool.fetchval("select purge_organization('acme')")
    await rolled_up(pool)
    for table in ("usage_by_service", "usage_by_user", "usage_of_user", "rolled_up_organizations"):
        owners = await pool.fetchval(f"select array_agg(distinct org_id order by org_id) from {table}")
        assert owners == ["beta", "gamma"], table
    assert await pool.fetch(WRONG_SUMS) == []


@pytest.mark.parametrize(
    ("events", "seconds", "is_due"), [(6_000, 2, True), (6_000, 0.2, False), (4_000, 2, False)]
)
async def test_much_of_one_organization_does_not_wait_while_there_is_time(
    pool: asyncpg.Pool, events: int, seconds: float, is_due: bool
) -> None:
    await pool.execute(
        "select settle_usage((select json_agg(json_build_object('org_id', 'acme', 'event_id', n::text,"
        " 'event_key', usage_event_key('s', n::text), 'source', 's', 'user_id', 'ann', 'service_type', 'llm',"
        " 'quantity', 1, 'credits', 1, 'credits_given', true, 'key_source', 'platform',"
        " 'key_source_given', false, 'metadata', json_build_object())) from generate_series(1, $1) as n))",
        events,
    )
    await pool.execute(
        "update usage_rollup_queue set queued_at = clock_timestamp() - $1 * interval '1 second'", seconds
    )
    assert (await pool.fetchval("select roll_up_usage()") == events) == is_due
