"""What can happen to organizations: each step done to the database and to the model."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

import asyncpg
from tests.settlement_model import Allocation, Event, Organization

from meter.events import Usage, event_key

if TYPE_CHECKING:
    from tests.settlement_model import Model

    from meter.db.settlement import Settlement

HAPPENED_AT = "2026-01-01T00:00:00+00:00"
#: Of the service that is rated beyond what can be charged.
TOO_MANY = 99_999_999_999_999 * 1_000_000


@dataclass(frozen=True)
class Client:
    """Who does a step: a connection of people, or the gateway of a worker with its own connections."""

    connection: asyncpg.Connection
    worker: Settlement


class Step(Protocol):
    """An answer of the database is that of the model, or the SQLSTATE of a refusal in both."""

    def on_model(self, model: Model) -> object: ...

    async def on_database(self, client: Client) -> object: ...


def numeric(credits: int) -> Decimal:
    return Decimal(credits).scaleb(-6)


def millionths(credits: Decimal) -> int:
    return int(credits.scaleb(6))


@dataclass(frozen=True)
class Found:
    """A new organization with credits and terms, all of its credits promised to one user."""

    org_id: str
    credits: int
    terms: SetTerms

    def on_model(self, model: Model) -> object:
        organization = model.organizations[self.org_id] = Organization(self.org_id, total=self.credits)
        organization.allocations["u"] = Allocation(self.credits, reset_period="daily")
        return self.terms.on_model(model)

    async def on_database(self, client: Client) -> object:
        await client.connection.fetchval(
            """
            select create_organization($1), add_credits_to_pool($1, $2),
                   allocate_credits_to_user($1, 'u', $2, p_reset_period => 'daily')
            """,
            self.org_id,
            numeric(self.credits),
        )
        return await self.terms.on_database(client)


@dataclass(frozen=True)
class Settle:
    """A batch, as JSON to the function that is called by hand."""

    batch: tuple[Event, ...]

    def on_model(self, model: Model) -> object:
        return model.settle(self.batch)

    async def on_database(self, client: Client) -> object:
        answers = await client.connection.fetch(
            "select pos, outcome, reason, credits from settle_usage($1)",
            json.dumps([_published(event) for event in self.batch]),
        )
        assert [row["pos"] for row in answers] == list(range(1, len(self.batch) + 1))
        return [(row["outcome"], row["reason"], millionths(row["credits"])) for row in answers]


def _time(event: Event) -> str:
    if event.refusal == "future_time":
        return (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    return HAPPENED_AT


def _quantity(event: Event) -> int:
    return TOO_MANY if event.service == "valuation" else 1_000_000


def _published(event: Event) -> dict[str, object]:
    return {
        "org_id": event.org_id,
        "event_key": event.key,
        "source": event.source,
        "user_id": event.user_id,
        "service_type": event.service,
        "quantity": str(numeric(_quantity(event))),
        "credits": None if event.credits is None else str(numeric(event.credits)),
        "credits_given": event.given,
        "key_source": "platform",
        "key_source_given": False,
        "request_id": event.request_id,
        "metadata": {"unknown": 1} if event.extended else {},
        "folded": ["unknown"] if event.extended else None,
        "occurred_at": _time(event),
        "refusal": None if event.refusal == "future_time" else event.refusal,
    }


@dataclass(frozen=True)
class SettleByWorker:
    """A batch as the worker has it: rated by the price book, and sent as columns."""

    batch: tuple[Event, ...]

    def on_model(self, model: Model) -> object:
        return model.settle(tuple(_rated_now(event) for event in self.batch))

    async def on_database(self, client: Client) -> list[tuple[str, str | None, int]]:
        settled = await client.worker.settle([_usage(event) for event in self.batch])
        return [(each.outcome.value, each.reason, each.credits) for each in settled]


def _rated_now(event: Event) -> Event:
    name, _, price = event.service.partition("-")
    if name == "costs":
        return replace(event, credits=int(price), refusal=None)
    return replace(event, credits=None, refusal=None) if name == "unheard" else event


def _usage(event: Event) -> Usage:
    return Usage(
        org_id=event.org_id,
        key=event.key,
        event_id=None,
        source=event.source,
        user_id=event.user_id,
        service_type=event.service,
        service_name=None,
        quantity=_quantity(event),
        credits=event.credits if event.given else None,
        api_cost=None,
        key_source=None,
        request_id=event.request_id,
        metadata='{"unknown":1}' if event.extended else "{}",
        numbers={},
        time=_time(event),
        folded=("unknown",) if event.extended else None,
    )


@dataclass(frozen=True)
class TopUp:
    org_id: str
    credits: int

    def on_model(self, model: Model) -> object:
        organization = model.organizations[self.org_id]
        if organization.closed:
            return "MT005"
        organization.total += self.credits
        return organization.request_funding()

    async def on_database(self, client: Client) -> object:
        return await client.connection.fetchval(
            "select funded_events from add_credits_to_pool($1, $2)", self.org_id, numeric(self.credits)
        )


@dataclass(frozen=True)
class Allocate:
    org_id: str
    user_id: str
    credits: int
    active: bool
    reset_period: str | None

    def on_model(self, model: Model) -> object:
        organization = model.organizations[self.org_id]
        if organization.closed:
            return "MT005"
        before, promised = organization.allocations.get(self.user_id), organization.promised()
        was = before or Allocation(0)
        period = self.reset_period or was.reset_period
        organization.allocations[self.user_id] = replace(
            was,
            allocated=self.credits,
            active=self.active,
            reset_period=period,
            due=was.due and period == was.reset_period,
        )
        if organization.promised() > max(promised, organization.available, 0):
            if before:
                organization.allocations[self.user_id] = before
            else:
                del organization.allocations[self.user_id]
            return "MT009"
        return organization.request_funding()

    async def on_database(self, client: Client) -> object:
        return await client.connection.fetchval(
            """
            select funded_events
            from allocate_credits_to_user($1, $2, $3, p_is_active => $4, p_reset_period => $5)
            """,
            self.org_id,
            self.user_id,
            numeric(self.credits),
            self.active,
            self.reset_period,
        )


@dataclass(frozen=True)
class SetTerms:
    org_id: str
    allocation_required: bool
    allow_overage: bool
    overage_limit: int

    def on_model(self, model: Model) -> object:
        organization = model.organizations[self.org_id]
        if organization.closed:
            return "MT005"
        organization.allocation_required = self.allocation_required
        organization.allow_overage, organization.overage_limit = self.allow_overage, self.overage_limit
        return organization.request_funding()

    async def on_database(self, client: Client) -> object:
        return await client.connection.fetchval(
            "select set_pool_terms($1, $2, $3, $4)",
            self.org_id,
            self.allocation_required,
            self.allow_overage,
            numeric(self.overage_limit),
        )


@dataclass(frozen=True)
class Close:
    org_id: str

    def on_model(self, model: Model) -> object:
        organization = model.organizations[self.org_id]
        was_open, organization.closed = not organization.closed, True
        return was_open

    async def on_database(self, client: Client) -> object:
        return await client.connection.fetchval("select close_organization($1)", self.org_id)


@dataclass(frozen=True)
class GoOnFunding:
    """What workers do after a top-up or a reset, some events at a time."""

    org_id: str
    limit: int

    def on_model(self, model: Model) -> object:
        return model.organizations[self.org_id].fund(self.limit)

    async def on_database(self, client: Client) -> object:
        return await client.connection.fetchval("select fund_open_usage($1, $2)", self.org_id, self.limit)


@dataclass(frozen=True)
class Reset:
    """The time of some allocations comes, active or not, and workers look for those that are due."""

    accounts: tuple[tuple[str, str], ...]

    def on_model(self, model: Model) -> object:
        for org_id, user_id in self.accounts:
            allocations = model.organizations[org_id].allocations
            if user_id in allocations and allocations[user_id].reset_period != "never":
                allocations[user_id] = replace(allocations[user_id], due=True)
        return sum(organization.reset() for organization in model.organizations.values())

    async def on_database(self, client: Client) -> object:
        await client.connection.execute(
            """
            update user_credit_allocations allocation
            set next_reset_date = now() - interval '3 months'
            from unnest($1::text[], $2::text[]) as account (org_id, user_id)
            where allocation.org_id = account.org_id and allocation.user_id = account.user_id
              and reset_period <> 'never'
            """,
            [org_id for org_id, _ in self.accounts],
            [user_id for _, user_id in self.accounts],
        )
        return await client.connection.fetchval("select reset_allocations()")


@dataclass(frozen=True)
class Deduct:
    """Asked first whether the credits are there, then called twice under the same id."""

    org_id: str
    user_id: str
    credits: int
    event_id: str

    def on_model(self, model: Model) -> object:
        organization = model.organizations[self.org_id]
        outcome, reason = organization.decide(self.user_id, self.credits)
        if outcome == "unfunded":
            refusals = {"organization_closed": "MT005", "no_allocation": "MT002"}
            return False, refusals.get(str(reason), "MT001")
        key = str(event_key("hand", self.event_id))
        event = Event(self.org_id, key, self.user_id, "llm", self.credits, given=True, source="hand")
        organization.settle(event)
        return True, (key, outcome, self.credits, False), (key, outcome, self.credits, True)

    async def on_database(self, client: Client) -> object:
        asked = (self.org_id, self.user_id, numeric(self.credits))
        sufficient = await client.connection.fetchval("select has_sufficient_credits($1, $2, $3)", *asked)
        answers: list[object] = []
        for _ in range(2):
            call = "select * from deduct_credits($1, $2, $3, 'llm', p_event_id => $4, p_source => 'hand')"
            try:
                row = await client.connection.fetchrow(call, *asked, self.event_id)
            except asyncpg.PostgresError as refusal:
                return sufficient, refusal.sqlstate
            answers.append(
                (str(row["event_key"]), row["outcome"], millionths(row["credits_used"]), row["repeated"])
            )
        return sufficient, *answers
