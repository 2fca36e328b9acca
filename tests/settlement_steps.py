"""What else can happen to organizations: each step done to the database and to the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import asyncpg
from tests.settlement_batches import Client, millionths, numeric
from tests.settlement_events import Event
from tests.settlement_model import Allocation, Organization

from meter.events import event_key

if TYPE_CHECKING:
    from tests.settlement_model import Model


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
class Bill:
    """An invoice over overage that is not billed yet, as far as there is any."""

    org_id: str
    credits: int

    def on_model(self, model: Model) -> object:
        organization = model.organizations[self.org_id]
        billed = min(self.credits, organization.overage - organization.overage_billed)
        organization.overage_billed += billed
        return billed

    async def on_database(self, client: Client) -> object:
        billed = await client.connection.fetchval(
            """
            with pool as (
                select org_id, least($2, overage_credits - overage_billed_credits) as credits
                from organization_credit_pools where org_id = $1 for no key update
            ),
            invoice as (
                insert into org_billing_history (org_id, event_type, balance, credits, actor)
                select org_id, 'invoice', 'overage_billed', credits, 'model' from pool where credits > 0
            )
            update organization_credit_pools billed
            set overage_billed_credits = overage_billed_credits + pool.credits
            from pool where billed.org_id = pool.org_id
            returning pool.credits
            """,
            self.org_id,
            numeric(self.credits),
        )
        return millionths(billed)


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
