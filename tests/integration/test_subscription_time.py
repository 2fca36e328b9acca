"""What time does to subscriptions, and by which plan usage is rated meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.subscribers import OLGA, Subscribers, subscribers

from meter.db.subscriptions import SubscriptionTerms
from meter.errors import SubscriptionConflict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import PostgresServers

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
async def database_of_all(postgres_servers: PostgresServers) -> AsyncIterator[Subscribers]:
    async with subscribers(postgres_servers) as opened:
        yield opened


@pytest.fixture
async def books(database_of_all: Subscribers) -> Subscribers:
    """acme belongs to olga, ann is a member; nothing else is there."""
    await database_of_all.empty()
    return database_of_all


async def test_a_trial_is_a_period_of_its_own_and_ends_by_itself(books: Subscribers) -> None:
    started = await books.subscriptions.start("acme", "byok", trial_days=14, author=OLGA)
    assert started.status == "trialing"
    assert started.current_period_end == started.trial_ends_at == started.current_period_start + 14 * DAY
    assert await books.clockwork.advance_subscriptions() is None

    ended = started.current_period_start - DAY
    await books.shift(started, trial_ends_at=ended, current_period_end=ended, period_anchor=ended)
    assert await books.clockwork.advance_subscriptions() == 1
    assert await books.clockwork.advance_subscriptions() is None
    row = await books.owner.fetchrow("select * from organization_subscriptions")
    assert (row["status"], row["current_period_start"], row["version"]) == ("active", ended, 2)
    assert await books.history() == ["subscription_started", "subscription_trial_ended"]


async def test_a_period_that_began_on_the_31st_keeps_to_the_ends_of_months(books: Subscribers) -> None:
    periods = """
        select to_char(p.period_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),
               to_char(p.period_end at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
        from subscription_period($1::text::timestamptz, $2, $3::text::timestamptz) as p
    """
    # A zone with clock changes between them.
    await books.owner.execute("set timezone = 'Europe/Berlin'")
    for anchor, cycle, at, begins, ends in [
        ("2026-01-31T12:00Z", "monthly", "2026-01-31T12:00Z", "2026-01-31 12:00", "2026-02-28 12:00"),
        ("2026-01-31T12:00Z", "monthly", "2026-02-28T11:59Z", "2026-01-31 12:00", "2026-02-28 12:00"),
        ("2026-01-31T12:00Z", "monthly", "2026-02-28T12:00Z", "2026-02-28 12:00", "2026-03-31 12:00"),
        ("2026-01-31T12:00Z", "monthly", "2027-05-01T00:00Z", "2027-04-30 12:00", "2027-05-31 12:00"),
        ("2024-02-29T00:00Z", "yearly", "2026-02-27T00:00Z", "2025-02-28 00:00", "2026-02-28 00:00"),
        ("2024-02-29T00:00Z", "yearly", "2028-02-29T00:00Z", "2028-02-29 00:00", "2029-02-28 00:00"),
        ("2026-03-01T00:00Z", "custom", "2027-03-01T00:00Z", "2026-03-01 00:00", None),
    ]:
        assert tuple(await books.owner.fetchrow(periods, anchor, cycle, at)) == (begins, ends), (anchor, at)


async def test_usage_is_rated_by_the_plan_in_force_when_it_happened(books: Subscribers) -> None:
    before = await books.now()
    assert await books.credits_at(before) == [50]
    started = await books.subscriptions.start("acme", "byok", author=OLGA)
    on_byok = await books.now()
    await books.subscriptions.change("acme", started.id, SubscriptionTerms(paused=True), author=OLGA)
    while_paused = await books.now()
    await books.subscriptions.change("acme", started.id, SubscriptionTerms(paused=False), author=OLGA)
    resumed = await books.now()
    await books.subscriptions.change("acme", started.id, SubscriptionTerms(plan="platform"), author=OLGA)
    on_platform = await books.now()
    await books.subscriptions.change("acme", started.id, SubscriptionTerms(plan="byok"), author=OLGA)
    again = await books.now()
    await books.subscriptions.cancel("acme", started.id, immediately=True, author=OLGA)
    canceled = await books.now()
    times = (before, on_byok, while_paused, resumed, on_platform, again, canceled)
    assert await books.credits_at(*times) == [50, 0, 50, 0, 50, 0, 50]
    assert await books.history() == [
        "subscription_started", "subscription_paused", "subscription_resumed", "subscription_upgraded",
        "subscription_downgraded", "subscription_canceled",
    ]  # fmt: skip


async def test_a_cancellation_at_the_end_of_the_period_holds_from_that_moment_however_late_it_is_noticed(
    books: Subscribers,
) -> None:
    started = await books.subscriptions.start("acme", "byok", author=OLGA)
    end = await books.now() + timedelta(seconds=200)
    await books.shift(started, current_period_end=end)
    canceled = await books.subscriptions.cancel("acme", started.id, author=OLGA)
    assert (canceled.status, canceled.cancel_at, canceled.canceled_at) == ("active", end, None)
    assert await books.subscriptions.cancel("acme", started.id, author=OLGA) == canceled
    # Usage may be a few minutes ahead of the database's clock: the plan of its own time counts.
    assert await books.credits_at(end - timedelta(seconds=1), end) == [0, 50]
    assert await books.clockwork.advance_subscriptions() is None

    await books.owner.execute(
        """
        update organization_subscriptions
        set cancel_at = now() - interval '1 hour', current_period_start = now() - interval '1 day',
            current_period_end = now() - interval '1 hour';
        update organization_plan_history
        set valid_from = now() - case when plan is null then interval '1 hour' else interval '1 day' end
        """
    )
    ended = await books.owner.fetchval("select cancel_at from organization_subscriptions")
    assert await books.clockwork.advance_subscriptions() == 1
    row = await books.owner.fetchrow("select * from organization_subscriptions")
    assert (row["status"], row["canceled_at"]) == ("canceled", ended)
    assert await books.credits_at(ended - timedelta(seconds=1), ended) == [0, 50]
    assert await books.history() == ["subscription_started", "subscription_canceled", "subscription_ended"]


async def test_a_new_subscription_may_start_where_the_old_one_ended_unnoticed(books: Subscribers) -> None:
    old = await books.subscriptions.start("acme", "byok", author=OLGA)
    await books.subscriptions.cancel("acme", old.id, author=OLGA)
    now = await books.now()
    await books.shift(old, cancel_at=now, current_period_end=now)
    await books.owner.execute("update organization_plan_history set valid_from = $1 where plan is null", now)
    new = await books.subscriptions.start("acme", "byok", author=OLGA)
    assert new.id != old.id
    assert await books.credits_at(now, await books.now()) == [50, 0]


async def test_a_cancellation_is_withdrawn_before_it_takes_effect_and_never_after(books: Subscribers) -> None:
    started = await books.subscriptions.start("acme", "byok", author=OLGA)
    end = await books.now() + timedelta(seconds=200)
    await books.shift(started, current_period_end=end)
    await books.subscriptions.cancel("acme", started.id, author=OLGA)
    with pytest.raises(SubscriptionConflict, match="is to end"):
        await books.subscriptions.change(
            "acme", started.id, SubscriptionTerms(billing_cycle="yearly"), author=OLGA
        )
    goes_on = await books.subscriptions.change(
        "acme", started.id, SubscriptionTerms(withdraw_cancellation=True), author=OLGA
    )
    assert goes_on.subscription.cancel_at is None
    assert await books.credits_at(end) == [0]

    await books.subscriptions.cancel("acme", started.id, immediately=True, author=OLGA)
    with pytest.raises(SubscriptionConflict, match="canceled"):
        await books.subscriptions.change(
            "acme", started.id, SubscriptionTerms(withdraw_cancellation=True), author=OLGA
        )


async def test_a_paused_subscription_is_resumed_in_a_new_period_once_the_paid_one_is_over(
    books: Subscribers,
) -> None:
    started = await books.subscriptions.start("acme", "byok", author=OLGA)
    paused = await books.subscriptions.change("acme", started.id, SubscriptionTerms(paused=True), author=OLGA)
    assert paused.subscription.status == "paused"
    with pytest.raises(SubscriptionConflict, match="Resume it"):
        await books.subscriptions.change("acme", started.id, SubscriptionTerms(plan="hybrid"), author=OLGA)
    resumed = await books.subscriptions.change(
        "acme", started.id, SubscriptionTerms(paused=False), author=OLGA
    )
    assert resumed.subscription.current_period_end == started.current_period_end

    await books.subscriptions.change("acme", started.id, SubscriptionTerms(paused=True), author=OLGA)
    now = await books.now()
    await books.shift(started, current_period_start=now - 40 * DAY, current_period_end=now - 10 * DAY)
    assert await books.clockwork.advance_subscriptions() is None
    later = await books.subscriptions.change("acme", started.id, SubscriptionTerms(paused=False), author=OLGA)
    assert later.subscription.current_period_start >= now


async def test_periods_go_on_by_themselves(books: Subscribers) -> None:
    started = await books.subscriptions.start("acme", "byok", author=OLGA)
    anchor = started.current_period_start - 100 * DAY
    await books.shift(
        started,
        period_anchor=anchor,
        current_period_start=anchor,
        current_period_end=anchor + 30 * DAY,
    )
    epoch = await books.owner.fetchval("select epoch from rating_epoch")
    assert await books.clockwork.advance_subscriptions() == 1
    row = await books.owner.fetchrow(
        "select *, current_period_end > now() as is_now from organization_subscriptions"
    )
    assert row["is_now"]
    assert row["current_period_start"] > anchor + 60 * DAY
    # The plan is the same: nothing needs to be rated anew.
    assert await books.owner.fetchval("select epoch from rating_epoch") == epoch
