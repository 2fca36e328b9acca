"""Subscriptions: what people change, what it costs, and what the history keeps of it."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tests.subscribers import OLGA, OPERATOR, Subscribers, subscribers

from meter.db.authorship import Author
from meter.db.subscriptions import SubscriptionTerms
from meter.errors import (
    InvalidArgument,
    NotPermitted,
    OrganizationClosed,
    StaleVersion,
    SubscriptionConflict,
    UnknownOrganization,
    UnknownSubscription,
)

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


async def test_a_subscription_costs_what_its_plan_does_unless_told_otherwise(books: Subscribers) -> None:
    started = await books.subscriptions.start("acme", "hybrid", author=OLGA)
    assert (started.plan, started.status, started.billing_cycle, started.version) == (
        "hybrid", "active", "monthly", 1,
    )  # fmt: skip
    assert started.monthly_price == Decimal(99)
    assert started.current_period_end is not None
    assert 28 * DAY <= started.current_period_end - started.current_period_start <= 31 * DAY
    with pytest.raises(SubscriptionConflict, match="live subscription"):
        await books.subscriptions.start("acme", "byok", author=OLGA)
    row = await books.owner.fetchrow(
        "select * from org_billing_history where event_type = 'subscription_started'"
    )
    assert (row["actor"], row["request_id"], row["subscription_id"]) == ("olga", "request-1", started.id)

    await books.owner.execute("select create_organization('globex')")
    special = await books.subscriptions.start(
        "globex", "byok", monthly_price=Decimal("12.34"), author=OPERATOR
    )
    assert special.monthly_price == Decimal("12.34")


async def test_a_dearer_plan_is_an_upgrade_and_the_rest_of_the_period_is_prorated(books: Subscribers) -> None:
    started = await books.subscriptions.start("acme", "byok", author=OLGA)
    now = await books.now()
    # A third of the period is over.
    await books.shift(started, current_period_start=now - 10 * DAY, current_period_end=now + 20 * DAY)

    up = await books.subscriptions.change("acme", started.id, SubscriptionTerms(plan="hybrid"), author=OLGA)
    assert (up.changed, up.credit, up.charge) == (True, Decimal("20.00"), Decimal("66.00"))
    assert (up.subscription.plan, up.subscription.monthly_price, up.subscription.version) == (
        "hybrid", Decimal(99), 2,
    )  # fmt: skip
    down = await books.subscriptions.change(
        "acme", started.id, SubscriptionTerms(plan="platform"), versions=[2], author=OLGA
    )
    assert (down.credit, down.charge) == (Decimal("66.00"), Decimal("33.33"))
    priced = await books.subscriptions.change(
        "acme", started.id, SubscriptionTerms(monthly_price=Decimal("80.00")), author=OPERATOR
    )
    assert (priced.subscription.plan, priced.subscription.monthly_price) == ("platform", Decimal("80.00"))
    assert await books.history() == [
        "subscription_started", "subscription_upgraded", "subscription_downgraded", "subscription_upgraded",
    ]  # fmt: skip
    row = await books.owner.fetchrow(
        "select * from org_billing_history where event_type = 'subscription_upgraded'"
    )
    assert (row["amount"], row["currency"], row["payment_status"]) == (Decimal(46), "USD", "pending")
    assert (row["actor"], row["request_id"], row["subscription_id"]) == ("olga", "request-1", started.id)
    told = json.loads(row["metadata"])
    assert (told["from"]["plan"], told["to"]["plan"]) == ("byok", "hybrid")


async def test_a_new_cycle_begins_a_new_period_now(books: Subscribers) -> None:
    started = await books.subscriptions.start("acme", "platform", author=OLGA)
    now = await books.now()
    await books.shift(started, current_period_start=now - 15 * DAY, current_period_end=now + 15 * DAY)
    yearly = await books.subscriptions.change(
        "acme", started.id, SubscriptionTerms(billing_cycle="yearly"), author=OLGA
    )
    assert (yearly.credit, yearly.charge) == (Decimal("25.00"), Decimal("600.00"))
    assert yearly.subscription.current_period_start >= now
    assert yearly.subscription.current_period_end is not None
    assert yearly.subscription.current_period_end >= now + 365 * DAY
    custom = await books.subscriptions.change(
        "acme", started.id, SubscriptionTerms(billing_cycle="custom"), author=OLGA
    )
    assert (custom.credit, custom.charge, custom.subscription.current_period_end) == (None, None, None)
    with pytest.raises(SubscriptionConflict, match="no end"):
        await books.subscriptions.cancel("acme", started.id, author=OLGA)
    assert await books.history() == ["subscription_started", "subscription_changed", "subscription_changed"]


async def test_a_change_in_a_trial_costs_nothing(books: Subscribers) -> None:
    started = await books.subscriptions.start("acme", "byok", trial_days=3, author=OLGA)
    changed = await books.subscriptions.change(
        "acme", started.id, SubscriptionTerms(plan="hybrid", billing_cycle="yearly"), author=OLGA
    )
    assert (changed.credit, changed.charge) == (0, 0)
    assert changed.subscription.current_period_end == started.trial_ends_at


@pytest.mark.parametrize(
    "terms",
    [
        SubscriptionTerms(),
        SubscriptionTerms(plan="byok"),
        SubscriptionTerms(billing_cycle="monthly"),
        SubscriptionTerms(monthly_price=Decimal("30.0")),
        SubscriptionTerms(paused=False, withdraw_cancellation=True),
    ],
)
async def test_a_change_that_changes_nothing_records_nothing(
    books: Subscribers, terms: SubscriptionTerms
) -> None:
    started = await books.subscriptions.start("acme", "byok", author=OLGA)
    unchanged = await books.subscriptions.change("acme", started.id, terms, author=OLGA)
    assert (unchanged.changed, unchanged.credit, unchanged.charge) == (False, None, None)
    assert unchanged.subscription == started
    assert await books.history() == ["subscription_started"]
    assert await books.owner.fetchval("select count(*) from organization_plan_history") == 1


async def test_of_two_changes_of_the_same_version_one_is_stale(books: Subscribers) -> None:
    started = await books.subscriptions.start("acme", "byok", author=OLGA)
    answers = await asyncio.gather(
        books.subscriptions.change(
            "acme", started.id, SubscriptionTerms(plan="hybrid"), versions=[1], author=OLGA
        ),
        books.subscriptions.change(
            "acme", started.id, SubscriptionTerms(plan="platform"), versions=[1], author=OLGA
        ),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["ChangedSubscription", "StaleVersion"]
    with pytest.raises(StaleVersion):
        await books.subscriptions.cancel("acme", started.id, versions=[1], author=OLGA)


async def test_of_two_starts_at_once_one_is_refused(books: Subscribers) -> None:
    answers = await asyncio.gather(
        *(books.subscriptions.start("acme", "byok", author=OLGA) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Subscription", "SubscriptionConflict"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"plan": "gold"}, InvalidArgument),
        ({"billing_cycle": "weekly"}, InvalidArgument),
        ({"billing_cycle": None}, InvalidArgument),
        ({"monthly_price": Decimal("-0.01")}, InvalidArgument),
        ({"monthly_price": Decimal("0.001")}, InvalidArgument),
        ({"monthly_price": Decimal(10) ** 10}, InvalidArgument),
        ({"trial_days": -1}, InvalidArgument),
        ({"trial_days": 91}, InvalidArgument),
        ({"trial_days": 731, "author": OPERATOR}, InvalidArgument),
        ({"org_id": "nobody"}, UnknownOrganization),
        ({"org_id": "closed", "author": OPERATOR}, OrganizationClosed),
        ({"author": Author("ann", None, "ann")}, NotPermitted),
        ({"author": Author("eve", None, "eve")}, NotPermitted),
    ],
)
async def test_what_is_refused_writes_nothing(
    books: Subscribers, arguments: dict[str, Any], error: type[Exception]
) -> None:
    await books.owner.execute("select create_organization('closed'), close_organization('closed')")
    with pytest.raises(error):
        await books.subscriptions.start(**{"org_id": "acme", "plan": "byok", "author": OLGA} | arguments)
    assert await books.history() == []


async def test_a_member_who_is_no_admin_any_more_changes_nothing(books: Subscribers) -> None:
    started = await books.subscriptions.start("acme", "byok", author=OLGA)
    ann = Author("ann", None, "ann")
    with pytest.raises(NotPermitted):
        await books.subscriptions.change("acme", started.id, SubscriptionTerms(paused=True), author=ann)
    with pytest.raises(NotPermitted):
        await books.subscriptions.cancel("acme", started.id, author=ann)
    await books.owner.execute("select create_organization('globex')")
    with pytest.raises(UnknownSubscription):
        await books.subscriptions.cancel("globex", started.id, author=OPERATOR)
    assert await books.history() == ["subscription_started"]


async def test_an_organization_gives_itself_one_trial(books: Subscribers) -> None:
    first = await books.subscriptions.start("acme", "byok", trial_days=90, author=OLGA)
    await books.subscriptions.cancel("acme", first.id, immediately=True, author=OLGA)
    with pytest.raises(SubscriptionConflict, match="had its trial"):
        await books.subscriptions.start("acme", "byok", trial_days=1, author=OLGA)
    again = await books.subscriptions.start("acme", "byok", trial_days=730, author=OPERATOR)
    assert again.status == "trialing"
