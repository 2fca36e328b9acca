"""Summaries of random periods against a loop over the ledger: few and many users, late usage and voids."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, get_args

import asyncpg
import pytest
from tests.rollup import FEW_MAKE_A_DAY_BUSY, ROLL_UP

from meter.db.reader import Reader, reading_for
from meter.db.reading import open_reader
from meter.db.usage_summary import (
    FEW_USERS,
    TOP_MAX,
    Interval,
    Split,
    SummaryQuestion,
    UsageSummaries,
    UsageSummary,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from tests.private_servers import FreshDatabase

    from meter.db.reader import ReaderConnections

    #: Events, charged and overage credits, unfunded credits.
    Sums = tuple[int, Decimal, Decimal]

SETUP = """
select create_organization('acme'), set_pool_terms('acme', false), add_credits_to_pool('acme', 2500);
""" + FEW_MAKE_A_DAY_BUSY.format(entries=4)
#: More services than a series has parts, some of them mostly unfunded, and some credits of zero.
SETTLE = """
select count(*) from settle_usage((select json_agg(json_build_object('org_id', 'acme',
    'event_key', usage_event_key('s', n::text), 'event_id', n::text, 'source', 's',
    'user_id', 'user-' || n * 7 % $3, 'service_type', 'service-' || n % 15,
    'service_name', case when n % 2 = 0 then 'full' end, 'quantity', n % 4, 'credits', n % 7 * 1.000001,
    'credits_given', true, 'api_cost', 0.01, 'key_source', 'platform', 'key_source_given', false,
    'metadata', '{}'::json, 'occurred_at', timestamptz '2026-01-25T22:30:00Z' + n * interval '11 minutes')
    order by n) from generate_series(1, 1200) as n where n % 5 between $1 and $2))
"""
TAKE_BACK = """
select settle_voids((select json_agg(json_build_object('org_id', 'acme', 'event_key', gen_random_uuid(),
    'source', 's', 'target_key', usage_event_key('s', n::text), 'metadata', '{}'::json))
    from generate_series(3, 1200, 17) as n))
"""
BEGIN, END = datetime(2026, 1, 25, 20, tzinfo=UTC), datetime(2026, 2, 4, tzinfo=UTC)
ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(params=[12, FEW_USERS + 1], ids=["few users", "many users"])
async def owner(request: pytest.FixtureRequest, database: FreshDatabase) -> AsyncIterator[asyncpg.Connection]:
    """Three fifths of the usage are summed; the rest came late, or was funded or taken back, and waits."""
    connection = await asyncpg.connect(database.dsn)
    await connection.execute(SETUP)
    await connection.fetchval(SETTLE, 0, 2, request.param)
    await rolled_up(connection)
    await connection.fetchval(SETTLE, 3, 4, request.param)
    await connection.fetchval("select add_credits_to_pool('acme', 500)")
    await connection.fetchval(TAKE_BACK)
    yield connection
    await connection.close()


@pytest.fixture
async def connections(database: FreshDatabase) -> AsyncIterator[ReaderConnections]:
    async with await open_reader(database.dsn) as opened:
        with reading_for(Reader(org_id="acme", sees_everything=True)):
            yield opened


@pytest.fixture
def summaries(connections: ReaderConnections) -> UsageSummaries:
    return UsageSummaries(connections)


async def rolled_up(owner: asyncpg.Connection) -> None:
    """Sum all there is; the beginning waits for whatever transaction runs, an autovacuum's for instance."""
    async with asyncio.timeout(60):
        while not await owner.fetchval("select is_complete from rolled_up_organizations"):
            await owner.fetchval(ROLL_UP)
        while await owner.fetchval(ROLL_UP) is not None:
            pass


def questions(chance: random.Random) -> Iterable[SummaryQuestion]:
    """Every interval and split, of everyone and of a user, for periods from minutes to all there is."""
    for interval in get_args(Interval):
        for split in (None, *get_args(Split)):
            for user in (None, None, f"user-{chance.randrange(12)}"):
                start = BEGIN + chance.random() * (END - BEGIN) * chance.choice((0.1, 1))
                end = start + max(timedelta(minutes=3), chance.random() ** 0.5 * (END - start))
                yield SummaryQuestion("acme", user, start, end, interval, split)


def added(entries: Iterable[asyncpg.Record]) -> Sums:
    """Add up entries: the model."""
    events, taken, unfunded = 0, Decimal(0), Decimal(0)
    for entry in entries:
        events += entry["entry"] == 0
        taken += entry["credits_used"] if entry["outcome"] in ("charged", "overage") else 0
        unfunded += entry["credits_used"] if entry["outcome"] == "unfunded" else 0
    return events, taken, unfunded


def grouped(entries: Iterable[asyncpg.Record], *names: str) -> dict[tuple[object, ...], Sums]:
    groups = defaultdict(list)
    for entry in entries:
        groups[tuple(entry[name] for name in names)].append(entry)
    return {of: added(group) for of, group in groups.items()}


def first_of(sums: dict[tuple[object, ...], Sums]) -> list[object]:
    ordered = sorted(sums, key=lambda of: (-sums[of][1], -sums[of][0], str(of[0])))
    return [of[0] for of in ordered[:TOP_MAX]]


def series_of(entries: list[asyncpg.Record], split: str | None) -> dict[tuple[object, int], Sums]:
    """Return the points of all spans and parts in which there is an entry."""
    named = [] if split is None else first_of(grouped(entries, split))
    groups = defaultdict(list)
    for entry in entries:
        part = entry[split] if split is not None and entry[split] in named else None
        groups[part, int((entry["bucket"] - ORIGIN).total_seconds())].append(entry)
    return {of: added(group) for of, group in groups.items()}


def series_told(summary: UsageSummary) -> dict[tuple[object, int], Sums]:
    told = [
        ((part.name, int(start)), (int(events), Decimal(credits), Decimal(unfunded)))
        for part in summary.series
        for start, events, credits, unfunded in zip(
            part.starts, part.events, part.credits, part.unfunded_credits, strict=True
        )
    ]
    assert len(told) == len(dict(told)), "a point is told twice"
    return dict(told)


async def check(
    owner: asyncpg.Connection, summaries: UsageSummaries, question: SummaryQuestion
) -> dict[tuple[object, int], Sums]:
    """Hold an answer to the model; returns the points."""
    entries = await owner.fetch(
        "select *, outcome::text as outcome, date_trunc($4, occurred_at, 'UTC') as bucket"
        " from credit_usage_attribution where occurred_at >= $1 and occurred_at < $2"
        " and ($3::text is null or user_id = $3) and outcome <> 'void'",
        *(question.start, question.end, question.user_id, question.interval),
    )
    summary = await summaries.summary(question)
    users = grouped(entries, "user_id")
    series = series_of(entries, question.split_by)
    assert series_told(summary) == series, question
    assert {(of.name,): of.events for of in summary.by_outcome} == {
        of: sums[0] for of, sums in grouped(entries, "outcome").items()
    }, question
    assert {
        (of.name, of.detail): (of.events, of.credits, of.unfunded_credits) for of in summary.by_service
    } == grouped(entries, "service_type", "service_name"), question
    assert [(of.name, (of.events, of.credits, of.unfunded_credits)) for of in summary.top_users] == [
        (user, users[user,]) for user in first_of(users)
    ], question
    return series


async def test_summaries_of_any_period_are_the_sums_of_its_entries(
    owner: asyncpg.Connection, summaries: UsageSummaries
) -> None:
    chance = random.Random(4)
    assert await owner.fetchval("select count(*) from queued_usage('acme') where entry > 0") > 0
    for question in questions(chance):
        await check(owner, summaries, question)

    # Now nearly all points of series by hours are sums as they are.
    await rolled_up(owner)
    points = [len(await check(owner, summaries, question)) for question in questions(chance)]
    assert max(points) > 400


async def test_summaries_of_all_periods_have_one_plan(
    owner: asyncpg.Connection, summaries: UsageSummaries, connections: ReaderConnections
) -> None:
    assert await owner.fetchval("select is_complete from rolled_up_organizations")
    for question in questions(random.Random(5)):
        await summaries.summary(question)
    async with connections.transaction() as connection:
        plans = await connection.fetch(
            "select generic_plans, custom_plans from pg_prepared_statements"
            " where statement like '%rolled_up_organizations%' and cardinality(parameter_types) > 1"
        )
    assert sorted(tuple(of) for of in plans) == [(16, 0), (32, 0)]
