"""``Settlement``: events as the worker holds them, rated by what is in force, whatever else goes on."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from msgspec import structs
from tests.balances import WRONG_BALANCES
from tests.drafted_usage import drafted_usage as event

from meter.db.clockwork import Clockwork
from meter.db.outcomes import DatabaseUnavailable, EventNotSettleable, Outcome
from meter.db.pool import open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg
    from tests.private_servers import FreshDatabase

    from meter.db.settlement import Settlement
    from meter.events import Usage


@pytest.fixture
async def clockwork(database: FreshDatabase) -> AsyncIterator[Clockwork]:
    pool = await open_pool(database.dsn, "meter_worker", max_connections=1)
    yield Clockwork(pool)
    await pool.close()


async def credits_of(settlement: Settlement, *events: Usage) -> list[tuple[str, str]]:
    """What became of the events, and the credits of each as a decimal."""
    settled = await settlement.settle(events)
    return [(each.outcome.value, str(Decimal(each.credits).scaleb(-6))) for each in settled]


async def test_events_are_rated_by_the_price_book(settlement: Settlement, owner: asyncpg.Connection) -> None:
    tokens = {"input_tokens": 1200, "output_tokens": 340}
    assert await credits_of(
        settlement,
        event(metadata=tokens),
        event(service_type="company_enrichment"),
        event(service_type="company_enrichment", service_name="full", quantity=2),
        event(service_type="bulk_export", quantity="2.5"),
        event(service_type="translation", api_cost="0.002"),
        event(service_type="translation"),
        event(service_type="translation", credits="0.000001"),
    ) == [
        ("charged", "8.700000"),
        ("charged", "50.000000"),
        ("charged", "200.000000"),
        ("charged", "12.500000"),
        ("charged", "3.000000"),
        ("unpriced", "0.000000"),
        ("charged", "0.000001"),
    ]
    unpriced = await owner.fetchval("select count(*) from open_usage_events where outcome = 'unpriced'")
    assert unpriced == 1


async def test_a_batch_without_any_price_is_recorded_as_unpriced(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    assert await credits_of(settlement, event(service_type="translation"), event(service_type="dubbing")) == [
        ("unpriced", "0.000000"),
        ("unpriced", "0.000000"),
    ]
    assert await owner.fetchval("select count(*) from open_usage_events where outcome = 'unpriced'") == 2


async def test_a_new_price_counts_from_the_next_batch_on(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    assert await credits_of(settlement, event(service_type="translation")) == [("unpriced", "0.000000")]
    await owner.execute("insert into service_prices values ('translation', null, 'quantity', 3)")
    assert await credits_of(settlement, event(service_type="translation")) == [("charged", "3.000000")]


async def test_an_event_is_rated_by_the_plan_in_force_when_it_happened(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    before = datetime.now(UTC) - timedelta(hours=1)
    assert await credits_of(settlement, event(service_type="valuation")) == [("charged", "75.000000")]
    await owner.execute("select start_subscription('acme', 'byok')")
    assert await credits_of(
        settlement,
        event(service_type="valuation"),
        event(service_type="valuation", time=before.isoformat()),
        event(service_type="valuation", key_source="platform"),
    ) == [("charged", "0.000000"), ("charged", "75.000000"), ("charged", "75.000000")]
    sources = await owner.fetch(
        "select key_source from credit_usage_attribution order by created_at, credits_used"
    )
    assert [row["key_source"] for row in sources] == ["platform", "byok", "platform", "platform"]


async def test_an_amount_that_does_not_fit_is_refused_and_its_neighbours_settle(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    settled = await settlement.settle(
        [event(), event(service_type="valuation", quantity="99999999999999"), event(service_type="valuation")]
    )
    assert [each.outcome for each in settled] == [Outcome.UNPRICED, Outcome.REFUSED, Outcome.CHARGED]
    assert settled[1].reason == "amount_overflow"
    assert await owner.fetchval("select count(*) from credit_usage_attribution") == 2


async def test_a_duplicate_stays_one_when_its_price_has_become_too_high(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    twice = event(service_type="valuation", quantity="1000000", user_id="zoe")
    other = structs.replace(twice, source="elsewhere")
    await owner.execute("select add_credits_to_pool('acme', 99999999)")
    assert await credits_of(settlement, twice) == [("charged", "75000000.000000")]
    await owner.execute("update service_prices set credits_per_unit = 1e12 where service_type = 'valuation'")
    assert await credits_of(settlement, twice, other) == [("duplicate", "0.000000"), ("conflict", "0.000000")]


async def test_unknown_fields_and_how_a_number_is_written_make_no_conflict(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    first = event(quantity="1", metadata={"input_tokens": 10, "trace": "x"}, time="2026-01-01T00:00:00Z")
    same = event(
        id=first.id,
        quantity="1.000000",
        metadata={"trace": "x", "input_tokens": 10},
        time="2026-01-01T01:00:00.000+01:00",
    )
    same = structs.replace(same, metadata='{"later": 1, "trace": "x", "input_tokens": 10}', folded=("later",))
    changed = structs.replace(first, metadata='{"input_tokens": 11, "trace": "x"}')
    outcomes = [settled.outcome for settled in await settlement.settle([first, same, changed])]
    assert outcomes == [Outcome.CHARGED, Outcome.DUPLICATE, Outcome.CONFLICT]


async def test_what_can_never_fit_and_what_does_not_answer_are_told_apart(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    # A value that the contract allows and this database does not: a division by zero, of SQLSTATE class 22.
    await owner.execute("alter table credit_usage_attribution add check (1 / (quantity - 13) <> 0)")
    with pytest.raises(EventNotSettleable):
        await settlement.settle([event(quantity=13)])
    await owner.execute("alter table organization_credit_pools rename to pools")
    with pytest.raises(DatabaseUnavailable):
        await settlement.settle([event()])
    await owner.execute("alter table pools rename to organization_credit_pools")
    assert [each.outcome for each in await settlement.settle([event(credits=1)])] == [Outcome.CHARGED]


async def test_concurrent_workers_charge_each_event_once_and_never_deadlock(
    settlement: Settlement, clockwork: Clockwork, owner: asyncpg.Connection
) -> None:
    """Every batch is settled by two of four workers, each in an order of its own, while credits come in."""
    organizations = [f"org-{number}" for number in range(8)]
    for org_id in organizations:
        await owner.execute("select create_organization($1)", org_id)
        await owner.execute("select set_pool_terms($1, p_allocation_required => false)", org_id)
        await owner.execute("select add_credits_to_pool($1, 300)", org_id)
    draw = random.Random(7)
    published = [
        event(draw.choice(organizations), draw.choice("uvw"), credits=draw.randint(1, 5))
        for _ in range(1_200)
    ]

    async def worker(seed: int) -> list[str]:
        order = random.Random(seed)
        mine = order.sample(published, k=len(published))
        outcomes: list[str] = []
        for start in range(0, len(mine), 60):
            settled = await settlement.settle(mine[start : start + 60])
            outcomes += [each.outcome.value for each in settled]
        return outcomes

    async def accountant() -> None:
        for org_id in organizations * 3:
            await owner.execute("select add_credits_to_pool($1, 50)", org_id)

    async with asyncio.TaskGroup() as running:
        workers = [running.create_task(worker(seed)) for seed in range(2)]
        workers += [running.create_task(worker(seed)) for seed in range(2)]
        running.create_task(accountant())
    answered = [outcome for each in workers for outcome in each.result()]
    assert answered.count("duplicate") == 3 * len(published)
    assert await owner.fetchval("select count(*) from credit_usage_attribution where entry = 0") == len(
        published
    )
    assert await owner.fetch(WRONG_BALANCES, organizations) == []
    while await clockwork.fund_waiting() is not None:
        pass
    spent = await owner.fetchval("select sum(used_credits + unfunded_credits) from organization_credit_pools")
    assert spent == Decimal(sum(each.credits or 0 for each in published)).scaleb(-6)


async def test_overage_taken_earlier_in_a_batch_counts_against_its_limit(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    await owner.execute("select create_organization('short')")
    await owner.execute("select set_pool_terms('short', false, true, 10)")
    batch = [event("short", credits=amount) for amount in (6, 5, 4, 1)]
    assert [(each.outcome, each.reason) for each in await settlement.settle(batch)] == [
        (Outcome.OVERAGE, None),
        (Outcome.UNFUNDED, "pool_exhausted"),
        (Outcome.OVERAGE, None),
        (Outcome.UNFUNDED, "pool_exhausted"),
    ]
    assert await owner.fetch(WRONG_BALANCES, ["short"]) == []


async def test_unfunded_events_settle_in_the_order_in_which_they_were_recorded(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    await owner.execute("select create_organization('late')")
    await owner.execute("select set_pool_terms('late', p_allocation_required => false)")
    await settlement.settle([event("late", credits=amount, request_id=str(amount)) for amount in (3, 4, 1)])
    # Enough for the second alone, but the first comes first; then the second does not fit and is passed over.
    await owner.execute("select add_credits_to_pool('late', 4)")
    charged = "select request_id from credit_usage_attribution where org_id = 'late' and outcome = 'charged'"
    assert {row["request_id"] for row in await owner.fetch(charged)} == {"3", "1"}
    assert await owner.fetch(WRONG_BALANCES, ["late"]) == []


async def test_workers_go_on_where_a_top_up_stopped(
    settlement: Settlement, clockwork: Clockwork, owner: asyncpg.Connection
) -> None:
    await owner.execute("select create_organization('many')")
    await owner.execute("select set_pool_terms('many', p_allocation_required => false)")
    for _ in range(3):
        await settlement.settle([event("many", credits=1) for _ in range(500)])
    funded = await owner.fetchval("select funded_events from add_credits_to_pool('many', 2000)")
    assert funded == 1000
    assert await clockwork.fund_waiting() == 500
    assert await clockwork.fund_waiting() is None
    assert (
        await owner.fetchval("select used_credits from organization_credit_pools where org_id = 'many'")
        == 1500
    )
    assert await owner.fetch(WRONG_BALANCES, ["many"]) == []
