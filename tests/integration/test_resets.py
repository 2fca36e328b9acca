"""``reset_allocations``: a limit begins anew when its time has come, and gives back no credits."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest
from tests.balances import WRONG_BALANCES
from tests.lock_waits import waiting_for_locks

from meter.db.pool import open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import FreshDatabase

LATE = (
    "update user_credit_allocations set next_reset_date = now() - interval '40 days' where org_id = any ($1)"
)
RESET = "select reset_allocations()"
PERIODS = "select user_id, period_no, used_credits::int from user_credit_allocations order by org_id, user_id"


@pytest.fixture
async def owner(database: FreshDatabase) -> AsyncIterator[asyncpg.Connection]:
    """The database's superuser; acme has 100 credits, alice used 60 of the 70 she may use a day."""
    connection = await asyncpg.connect(database.dsn)
    await _create(connection, "acme")
    yield connection
    await connection.close()


@pytest.fixture
async def worker(database: FreshDatabase) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(database.dsn, "meter_worker", max_connections=2)
    yield pool
    await pool.close()


async def _create(owner: asyncpg.Connection, org_id: str) -> None:
    await owner.execute("select create_organization($1)", org_id)
    await owner.execute("select add_credits_to_pool($1, 100)", org_id)
    await owner.execute("select allocate_credits_to_user($1, 'alice', 70, p_reset_period => 'daily')", org_id)
    await owner.execute("select deduct_credits($1, 'alice', 60, 'llm')", org_id)


async def test_a_late_reset_is_one_reset_and_the_next_comes_in_the_future(
    worker: asyncpg.Pool, owner: asyncpg.Connection
) -> None:
    assert await worker.fetchval(RESET) == 0
    await owner.execute(LATE, ["acme"])
    assert await worker.fetchval(RESET) == 1
    assert await worker.fetchval(RESET) == 0
    row = await owner.fetchrow("select * from user_credit_allocations")
    assert (row["period_no"], row["used_credits"], row["remaining_credits"]) == (2, 0, 70)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert row["last_reset_date"] < row["next_reset_date"] <= tomorrow
    noted = await owner.fetchrow("select * from org_billing_history where event_type = 'allocation_reset'")
    assert (noted["user_id"], noted["balance"], noted["period_end"]) == (
        "alice",
        None,
        row["last_reset_date"],
    )
    assert noted["metadata"] == '{"period_no": 1, "used_credits": "60.000000"}'
    assert await owner.fetch(WRONG_BALANCES, ["acme"]) == []


async def test_a_reset_gives_back_the_limit_and_no_credits(
    worker: asyncpg.Pool, owner: asyncpg.Connection
) -> None:
    await owner.execute(LATE, ["acme"])
    await worker.execute(RESET)
    pool = await owner.fetchrow("select * from organization_credit_pools")
    assert (pool["total_credits"], pool["used_credits"]) == (100, 60)
    with pytest.raises(asyncpg.PostgresError) as refusal:
        await owner.execute("select deduct_credits('acme', 'alice', 60, 'llm')")
    assert (refusal.value.sqlstate, refusal.value.detail) == ("MT001", "pool_exhausted")
    await owner.execute("select deduct_credits('acme', 'alice', 40, 'llm')")
    assert await owner.fetch(WRONG_BALANCES, ["acme"]) == []


async def test_what_the_old_limit_did_not_allow_is_funded_by_workers(
    worker: asyncpg.Pool, owner: asyncpg.Connection
) -> None:
    event = """{"org_id": "acme", "event_key": "00000000-0000-7000-8000-000000000001", "source": "tests",
        "user_id": "alice", "service_type": "llm", "quantity": 1, "credits": 30, "credits_given": true,
        "key_source": "platform", "key_source_given": false, "metadata": {}}"""
    settled = await worker.fetchrow("select * from settle_usage($1)", f"[{event}]")
    assert (settled["outcome"], settled["reason"]) == ("unfunded", "allocation_exhausted")
    await owner.execute(LATE, ["acme"])
    await worker.execute(RESET)
    assert await worker.fetchval("select funded from fund_waiting_organizations()") == 1
    entries = await owner.fetch(
        "select outcome, period_no from credit_usage_attribution where abs(credits_used) = 30 order by entry"
    )
    assert [tuple(row) for row in entries] == [("unfunded", 1), ("unfunded", 1), ("charged", 2)]
    assert await owner.fetch(WRONG_BALANCES, ["acme"]) == []


async def test_neither_a_limit_taken_out_nor_a_closed_organization_is_reset(
    worker: asyncpg.Pool, owner: asyncpg.Connection
) -> None:
    await _create(owner, "shut")
    await owner.execute("select allocate_credits_to_user('acme', 'alice', 70, p_is_active => false)")
    await owner.execute("select allocate_credits_to_user('acme', 'bob', 1, p_reset_period => 'weekly')")
    await owner.execute("select close_organization('shut')")
    await owner.execute(LATE, ["acme", "shut"])
    assert await worker.fetchval(RESET) == 1
    periods = [tuple(row) for row in await owner.fetch(PERIODS)]
    assert periods == [("alice", 1, 60), ("bob", 2, 0), ("alice", 1, 60)]
    waiting = await owner.fetch(
        "select org_id from user_credit_allocations where next_reset_date is not null"
    )
    assert {row["org_id"] for row in waiting} == {"acme"}
    # Given back, it is due.
    await owner.execute("select allocate_credits_to_user('acme', 'alice', 40, p_is_active => true)")
    assert await worker.fetchval(RESET) == 1


async def test_at_most_so_many_are_reset_at_once(worker: asyncpg.Pool, owner: asyncpg.Connection) -> None:
    for user_id in ("bob", "carol"):
        await owner.execute(
            "select allocate_credits_to_user('acme', $1, 1, p_reset_period => 'weekly')", user_id
        )
    await owner.execute(LATE, ["acme"])
    assert [await worker.fetchval("select reset_allocations(2)") for _ in range(3)] == [2, 1, 0]


async def test_a_busy_pool_holds_up_no_other_and_is_waited_for_in_the_end(
    worker: asyncpg.Pool, owner: asyncpg.Connection, database: FreshDatabase
) -> None:
    await _create(owner, "busy")
    await owner.execute(LATE, ["acme", "busy"])
    settling = await asyncpg.connect(database.dsn)
    transaction = settling.transaction()
    await transaction.start()
    await settling.execute("select deduct_credits('busy', 'alice', 5, 'llm')")
    assert await worker.fetchval(RESET) == 1
    waiting = asyncio.create_task(worker.fetchval(RESET))
    await waiting_for_locks(owner)
    await transaction.commit()
    assert await waiting == 1
    await settling.close()
    assert [tuple(row) for row in await owner.fetch(PERIODS)] == [("alice", 2, 0), ("alice", 2, 0)]
    assert await owner.fetch(WRONG_BALANCES, ["acme", "busy"]) == []
