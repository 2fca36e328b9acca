"""The bodies of the answers about billing as the OpenAPI document describes them; see ``schemas``."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from meter.api.schemas import Amount, Answer, Cursor, Role, SignedAmount

Plan = Literal["platform", "byok", "hybrid"]
LiveStatus = Literal["active", "trialing", "past_due", "paused"]
OrganizationStatus = Literal["active", "closed"]


class UserBilling(Answer):
    """What a user has in one organization; the allocation's part is null without an active one."""

    org_id: str = Field(examples=["acme"])
    name: str = Field(examples=["Acme"])
    status: OrganizationStatus
    role: Role
    plan: Plan | None = Field(description="Null without a live subscription.")
    subscription_status: LiveStatus | None
    current_period_end: datetime | None
    allocation_required: bool
    pool_available_credits: SignedAmount
    allocated_credits: Amount | None
    used_credits: Amount | None = Field(description="In the present period.")
    remaining_credits: Amount | None
    next_reset_date: datetime | None
    spendable_credits: Amount = Field(description="What a charge could take now, overage aside.")


class UserBillingPage(Answer):
    """A user's billing by organization id."""

    items: list[UserBilling]
    next_cursor: Cursor


class OrganizationBilling(Answer):
    """Plan, pool and promises of an organization; the plan's part is null without a live subscription."""

    org_id: str = Field(examples=["acme"])
    name: str = Field(examples=["Acme"])
    display_name: str = Field(examples=["Acme Inc."])
    status: OrganizationStatus
    subscription_id: UUID | None
    plan: Plan | None
    subscription_status: LiveStatus | None
    monthly_price: Amount | None = Field(description="USD.", examples=["50"])
    billing_cycle: Literal["monthly", "yearly", "custom"] | None
    current_period_end: datetime | None
    total_credits: Amount
    used_credits: Amount
    available_credits: SignedAmount
    allocated_credits: Amount
    overage_credits: Amount
    overage_billed_credits: Amount
    unfunded_credits: Amount
    lifetime_purchased_credits: Amount
    lifetime_spent_amount: Amount = Field(description="USD.")
    members: int = Field(examples=[12])
    active_allocations: int = Field(examples=[9])
    promised_credits: Amount = Field(description="What all active allocations have left together.")


class SubscriptionGroup(Answer):
    """Live subscriptions of one plan and status."""

    plan: Plan
    status: LiveStatus
    subscriptions: int = Field(examples=[40])
    monthly_recurring_revenue: Amount = Field(
        description="USD, of those that are paid now.", examples=["2000"]
    )


class TopOrganization(Answer):
    """An organization that paid much."""

    org_id: str = Field(examples=["acme"])
    name: str = Field(examples=["Acme"])
    plan: Plan | None
    monthly_price: Amount | None = Field(description="USD.", examples=["50"])
    lifetime_spent_amount: Amount = Field(description="USD.", examples=["1250"])
    used_credits: Amount
    overage_credits: Amount


class SystemBilling(Answer):
    """The business as a whole. Revenue is of subscriptions that are paid now: active and past due."""

    organizations: int = Field(examples=[50])
    live_subscriptions: int = Field(examples=[42])
    trialing_subscriptions: int = Field(examples=[2])
    monthly_recurring_revenue: Amount = Field(description="USD.", examples=["2000"])
    annual_recurring_revenue: Amount = Field(description="Twelve times the monthly one.", examples=["24000"])
    total_credits: Amount
    used_credits: Amount
    available_credits: SignedAmount
    overage_credits: Amount
    unfunded_credits: Amount
    distribution: list[SubscriptionGroup] = Field(description="Live subscriptions by plan and status.")
    top_organizations: list[TopOrganization] = Field(description="The ten that paid most.")


class BillingHistoryEntry(Answer):
    """A change of a balance that usage did not make, or money: who, what, when, by which request."""

    id: int = Field(examples=[7])
    event_type: str = Field(examples=["credits_purchase"])
    balance: Literal["total", "allocated", "overage_billed"] | None = Field(
        description="Which balance changed; null where none did."
    )
    credits: SignedAmount | None = Field(examples=["1000"])
    amount: SignedAmount | None = Field(examples=["10"])
    currency: str | None = Field(examples=["USD"])
    user_id: str | None = Field(description="Whose allocation or membership.", examples=["ann@example.com"])
    subscription_id: UUID | None
    lago_invoice_id: str | None = Field(examples=["4f1c9a52-0001"])
    stripe_invoice_id: str | None = Field(examples=["in_1PgZ"])
    payment_status: Literal["pending", "paid", "failed", "refunded"] | None
    period_start: datetime | None
    period_end: datetime | None
    metadata: dict[str, Any] = Field(examples=[{"payment_reference": "PO-17"}])
    actor: str = Field(examples=["olga@example.com"])
    request_id: str | None = Field(examples=["019a1c3e-7f00-7000-8000-000000000000"])
    created_at: datetime


class BillingHistoryPage(Answer):
    """The history of an organization's balances and money, newest first."""

    items: list[BillingHistoryEntry]
    next_cursor: Cursor
