"""Plans, money and the history of balances: what is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from meter.db.reading import reading
from meter.db.statements import statement
from meter.db.usage_history import EARLIEST, LATEST

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal
    from uuid import UUID

    from meter.db.reader import ReaderConnections

#: How many organizations the overview of the business names.
TOP_ORGANIZATIONS = 10
#: Above every id of the history.
NEWEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class BillingOfUser:
    """What a user has in one organization; the allocation's part is None without an active one."""

    org_id: str
    name: str
    status: str
    role: str
    plan: str | None
    subscription_status: str | None
    current_period_end: datetime | None
    allocation_required: bool
    pool_available_credits: Decimal
    allocated_credits: Decimal | None
    used_credits: Decimal | None
    remaining_credits: Decimal | None
    next_reset_date: datetime | None
    #: What a charge could take now, overage aside.
    spendable_credits: Decimal


@dataclass(frozen=True, slots=True)
class BillingOfOrganization:
    """Plan, pool and promises of an organization; the plan's part is None without a live subscription."""

    org_id: str
    name: str
    display_name: str
    status: str
    subscription_id: UUID | None
    plan: str | None
    subscription_status: str | None
    #: USD.
    monthly_price: Decimal | None
    billing_cycle: str | None
    current_period_end: datetime | None
    total_credits: Decimal
    used_credits: Decimal
    available_credits: Decimal
    allocated_credits: Decimal
    overage_credits: Decimal
    overage_billed_credits: Decimal
    unfunded_credits: Decimal
    lifetime_purchased_credits: Decimal
    #: USD.
    lifetime_spent_amount: Decimal
    members: int
    active_allocations: int
    #: What all active allocations have left together.
    promised_credits: Decimal


@dataclass(frozen=True, slots=True)
class SubscriptionGroup:
    """Live subscriptions of one plan and status; the revenue in USD a month, of those that are paid now."""

    plan: str
    status: str
    subscriptions: int
    monthly_recurring_revenue: Decimal


@dataclass(frozen=True, slots=True)
class TopOrganization:
    """An organization that paid much; amounts in USD."""

    org_id: str
    name: str
    plan: str | None
    monthly_price: Decimal | None
    lifetime_spent_amount: Decimal
    used_credits: Decimal
    overage_credits: Decimal


@dataclass(frozen=True, slots=True)
class BillingOfSystem:
    """The business as a whole, from one snapshot; revenue in USD."""

    organizations: int
    live_subscriptions: int
    trialing_subscriptions: int
    monthly_recurring_revenue: Decimal
    annual_recurring_revenue: Decimal
    total_credits: Decimal
    used_credits: Decimal
    available_credits: Decimal
    overage_credits: Decimal
    unfunded_credits: Decimal
    distribution: list[SubscriptionGroup]
    top_organizations: list[TopOrganization]


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A change of a balance that usage did not make, or money; ``metadata`` is JSON text as stored."""

    id: int
    event_type: str
    balance: str | None
    #: Signed.
    credits: Decimal | None
    amount: Decimal | None
    currency: str | None
    user_id: str | None
    subscription_id: UUID | None
    lago_invoice_id: str | None
    stripe_invoice_id: str | None
    payment_status: str | None
    period_start: datetime | None
    period_end: datetime | None
    metadata: msgspec.Raw
    actor: str
    request_id: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Which entries: recorded from ``start`` (included) to ``end`` (excluded), of one type or of all."""

    org_id: str
    event_type: str | None = None
    start: datetime = EARLIEST
    end: datetime = LATEST


class Billing:
    """What people ask who pay, and whom they pay.

    Every method raises the errors of ``meter.db.reading.reading``.

    Args:
        connections: acting as ``meter_reader``.
    """

    def __init__(self, connections: ReaderConnections) -> None:
        self._connections = connections

    async def of_user(self, user_id: str, *, after: str, limit: int) -> list[BillingOfUser]:
        """Read what a user has in all the user's organizations, in the order of their ids.

        Args:
            user_id: the user.
            after: the organization id before the first wanted; empty for the first page.
            limit: rows at most.
        """
        with reading():
            rows = await self._connections.fetch(statement("read_billing_of_user"), user_id, after, limit)
        return [BillingOfUser(**row) for row in rows]

    async def of_organization(self, org_id: str) -> BillingOfOrganization | None:
        """Read plan, pool and promises of an organization; None where the present reader sees none."""
        with reading():
            row = await self._connections.fetchrow(statement("read_billing_of_organization"), org_id)
        return None if row is None else BillingOfOrganization(**row)

    async def of_system(self) -> BillingOfSystem:
        """Add up what the present reader sees: for a system admin, everything."""
        with reading():
            async with self._connections.transaction(isolation="repeatable_read") as connection:
                metrics = await connection.fetchrow(statement("read_billing_metrics"))
                groups = await connection.fetch(statement("read_subscription_distribution"))
                top = await connection.fetch(statement("read_top_organizations"), TOP_ORGANIZATIONS)
        return BillingOfSystem(
            **metrics,
            distribution=[SubscriptionGroup(**row) for row in groups],
            top_organizations=[TopOrganization(**row) for row in top],
        )

    async def history(self, wanted: HistoryFilter, *, before: int, limit: int) -> list[HistoryEntry]:
        """Read a page of the history of an organization, newest first.

        Args:
            wanted: which entries.
            before: the id before the first wanted; `NEWEST` for the first page.
            limit: rows at most.
        """
        with reading():
            rows = await self._connections.fetch(
                statement("read_billing_history"),
                wanted.org_id,
                before,
                wanted.start,
                wanted.end,
                wanted.event_type,
                limit,
            )
        return [HistoryEntry(**{**row, "metadata": msgspec.Raw(row["metadata"])}) for row in rows]
