"""Voids: what they take back, and in which order they may come."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import asyncpg
import pytest
from tests.void_events import NOW, books_of_acme, outcomes, pool_of, usage, void

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import FreshDatabase

    from meter.db.settlement import Settlement


@pytest.fixture
async def owner(database: FreshDatabase) -> AsyncIterator[asyncpg.Connection]:
    async with books_of_acme(database.dsn) as connection:
        yield connection


@pytest.mark.parametrize("void_first", [True, False])
async def test_whichever_comes_first_the_balances_end_the_same(
    void_first: bool, settlement: Settlement, owner: asyncpg.Connection
) -> None:
    both = [void("e"), usage("e")] if void_first else [usage("e"), void("e")]

    settled = [outcome for event in both for outcome in await settlement.settle([event])]

    assert sorted(outcomes(settled)) == ["charged", "void"]
    assert await pool_of(owner) == (0, 0, 0, 0, 0)
    entries = await owner.fetch(
        "select outcome::text, entry, credits_used::integer from credit_usage_attribution order by entry, 1"
    )
    assert list(map(tuple, entries)) == [("charged", 0, 10), ("void", 0, 0), ("charged", 1, -10)]


async def test_a_batch_settles_in_its_order_whatever_it_takes_back(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    settled = await settlement.settle(
        [usage("a", "100"), void("a"), usage("b", "100"), void("c"), usage("c", "40"), usage("d", "50")]
    )

    assert outcomes(settled) == ["charged", "void", "charged", "void", "overage", "overage"]
    assert await pool_of(owner) == (100, 50, 0, 0, 0)


async def test_a_void_counts_once_however_often_it_comes(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    settled = await settlement.settle(
        [
            usage("e"),
            void("e"),
            void("e"),
            void("e", unknown=1),
            void("e", reason="another"),
            void("e", "2nd"),
        ]
    )

    assert outcomes(settled) == ["charged", "void", "duplicate", "duplicate", "conflict", "void"]
    assert outcomes(await settlement.settle([usage("e"), usage("void e")])) == ["duplicate", "conflict"]
    assert await pool_of(owner) == (0, 0, 0, 0, 0)
    assert await owner.fetchval("select count(*) from credit_usage_attribution") == 4


async def test_of_voids_that_wait_for_the_same_event_the_first_takes_it_back(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    first, second = void("e", "1st"), void("e", "2nd")

    assert outcomes(await settlement.settle([first, second])) == ["void", "void"]
    assert await pool_of(owner) == (0, 0, 0, 0, 1)
    assert outcomes(await settlement.settle([usage("e")])) == ["charged"]

    assert await pool_of(owner) == (0, 0, 0, 0, 0)
    taken_back_by = await owner.fetchval(
        "select counterpart_key from credit_usage_attribution where entry = 1"
    )
    assert str(taken_back_by) == first.key


async def test_a_void_of_a_void_is_refused_unless_it_came_first(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    assert outcomes(await settlement.settle([usage("e"), void("v", "w")])) == ["charged", "void"]
    assert await pool_of(owner) == (10, 0, 0, 0, 1)
    settled = await settlement.settle([void("e", "v"), void("v", "x"), void("self", "self")])

    assert outcomes(settled) == ["void", "void_of_void", "void_of_void"]
    assert outcomes(await settlement.settle([void("v", "y")])) == ["void_of_void"]
    assert await pool_of(owner) == (0, 0, 0, 0, 0)


async def test_billed_overage_falls_only_by_what_is_not_owed_any_more(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    await settlement.settle([usage("paid", "100"), usage("a", "20"), usage("b", "30")])
    await owner.execute(
        """
        update organization_credit_pools set overage_billed_credits = 25;
        insert into org_billing_history (org_id, event_type, balance, credits, actor)
        values ('acme', 'invoice', 'overage_billed', 25, 'tests')
        """
    )

    await settlement.settle([void("a")])
    assert await pool_of(owner) == (100, 30, 25, 0, 0)
    await settlement.settle([void("b")])
    assert await pool_of(owner) == (100, 0, 0, 0, 0)
    credited = await owner.fetch(
        "select credits from org_billing_history where event_type = 'overage_voided'"
    )
    assert [row["credits"] for row in credited] == [-25]


async def test_what_comes_free_pays_for_what_was_unfunded(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    await settlement.settle(
        [usage("paid", "100"), usage("over", "45"), usage("open", "60"), usage("late", "1")]
    )
    await settlement.settle([void("late"), void("paid")])

    assert tuple(await owner.fetchrow("select * from fund_waiting_organizations()")) == ("acme", 1)
    assert await pool_of(owner) == (60, 45, 0, 0, 0)
    assert outcomes(await settlement.settle([void("open")])) == ["void"]
    assert await pool_of(owner) == (0, 45, 0, 0, 0)
    assert await owner.fetchval("select count(*) from open_usage_events") == 0


async def test_a_limit_is_given_back_only_within_its_period(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    await owner.execute("select allocate_credits_to_user('acme', 'alice', 100, p_reset_period => 'daily')")
    await settlement.settle([usage("before")])
    await owner.execute(
        "update user_credit_allocations set next_reset_date = now(); select reset_allocations()"
    )
    await settlement.settle([usage("after", "7"), usage("kept", "5")])

    await settlement.settle([void("before"), void("after")])

    assert await owner.fetchval("select used_credits from user_credit_allocations") == 5
    assert await pool_of(owner) == (5, 0, 0, 0, 0)


async def test_overage_comes_back_to_the_limit_it_was_held_to(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    await owner.execute("select allocate_credits_to_user('acme', 'alice', 100)")
    await owner.execute("select deduct_credits('acme', 'bob', 80, 'llm')")
    assert outcomes(await settlement.settle([usage("e", "30")])) == ["overage"]

    await settlement.settle([void("e")])

    assert await owner.fetchval("select used_credits from user_credit_allocations") == 0
    assert await pool_of(owner) == (80, 0, 0, 0, 0)


async def test_a_charge_by_hand_of_what_was_taken_back_is_refused_and_writes_nothing(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    await settlement.settle([void("e"), usage("free", "0"), void("free")])
    for event_id, credits in (("e", 10), ("free", 0)):
        with pytest.raises(asyncpg.PostgresError) as refusal:
            await owner.fetch(
                "select deduct_credits('acme', 'alice', $2, 'llm', p_event_id => $1, p_source => 'tests', "
                "p_occurred_at => $3)",
                event_id,
                Decimal(credits),
                datetime.fromisoformat(NOW),
            )
        assert refusal.value.sqlstate == "MT004"
    assert await pool_of(owner) == (0, 0, 0, 0, 1)
