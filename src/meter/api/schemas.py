"""The bodies of the answers as the OpenAPI document describes them.

What goes out is written by ``bodies``; the tests hold every answer to these models.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from meter.api.parameters import EntryOutcome
from meter.db.usage_summary import Interval, Split

Amount = Annotated[
    str,
    Field(
        pattern=r"^(0|[1-9][0-9]*)(\.[0-9]+)?$",
        description="A decimal as a string, exact.",
        examples=["12.5"],
    ),
]
SignedAmount = Annotated[
    str,
    Field(
        pattern=r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$",
        description="A decimal as a string, exact.",
        examples=["-12.5"],
    ),
]
Role = Literal["member", "admin", "owner"]
ResetPeriod = Literal["daily", "weekly", "monthly", "never"]
Cursor = Annotated[
    str | None, Field(description="Hand it back as cursor for the next page; null on the last.")
]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Fault(_Answer):
    """One thing wrong with a request."""

    place: str = Field(examples=["query"])
    name: str = Field(examples=["limit"])
    detail: str = Field(examples=["Input should be less than or equal to 1000"])


class ProblemDetails(_Answer):
    """Problem details, RFC 9457."""

    type: str = Field(
        description="Stable; tell errors apart by it.", examples=["urn:meter:problem:not-found"]
    )
    title: str
    status: int
    detail: str
    errors: list[Fault] = Field(default=[], description="What is wrong, one by one; only with 422.")


class CreditPool(_Answer):
    """The pool of an organization: available = total − used; overage and unfunded stand beside it."""

    org_id: str = Field(examples=["acme"])
    status: Literal["active", "closed"]
    total_credits: Amount
    used_credits: Amount
    available_credits: SignedAmount
    allocated_credits: Amount
    overage_credits: Amount
    overage_billed_credits: Amount
    unfunded_credits: Amount
    allow_overage: bool
    overage_limit: Amount
    overage_rate: Amount = Field(description="USD a credit.")
    allocation_required: bool
    monthly_refresh_amount: Amount
    last_refresh_date: datetime | None
    next_refresh_date: datetime | None
    lifetime_purchased_credits: Amount
    lifetime_spent_amount: Amount = Field(description="USD.")
    updated_at: datetime


class _AllocationFacts(_Answer):
    allocation_id: int
    allocated_credits: Amount
    used_credits: Amount = Field(description="In the present period.")
    remaining_credits: Amount
    period_no: int
    reset_period: ResetPeriod
    last_reset_date: datetime | None
    next_reset_date: datetime | None
    is_active: bool


class Allocation(_AllocationFacts):
    """A user's limit within the pool."""

    user_id: str = Field(examples=["ann@example.com"])
    allocated_by: str
    notes: str | None
    created_at: datetime
    updated_at: datetime


class AllocationPage(_Answer):
    """Allocations by user id."""

    items: list[Allocation]
    next_cursor: Cursor


class UserCredits(_AllocationFacts):
    """What a user may spend in one organization."""

    org_id: str = Field(examples=["acme"])
    name: str
    role: Role
    pool_available_credits: SignedAmount
    spendable_credits: Amount = Field(description="The lesser of what remains and what the pool has.")


class UserCreditsPage(_Answer):
    """A user's allocations by organization id."""

    items: list[UserCredits]
    next_cursor: Cursor


class CreditCheck(_Answer):
    """Whether a charge would be taken now. Nothing is reserved."""

    org_id: str = Field(examples=["acme"])
    user_id: str = Field(examples=["ann@example.com"])
    credits: Amount
    sufficient: bool


class UsageEntry(_Answer):
    """One row of the ledger. Balances are sums of credits_used; events are counted by entry 0."""

    event_key: UUID
    entry: int = Field(description="0: the event with its first outcome; later ones move it.", examples=[0])
    event_id: str
    source: str = Field(examples=["chat-service"])
    user_id: str = Field(examples=["ann@example.com"])
    service_type: str = Field(examples=["llm"])
    service_name: str | None = Field(examples=["gpt-4o"])
    quantity: Amount
    credits_used: SignedAmount
    outcome: EntryOutcome
    reason: Literal["organization_closed", "no_allocation", "allocation_exhausted", "pool_exhausted"] | None
    key_source: Literal["platform", "byok"]
    api_cost: Amount | None = Field(description="USD.")
    markup_applied: Amount | None
    total_cost: SignedAmount = Field(description="USD.")
    allocation_id: int | None
    period_no: int | None
    request_id: str | None
    request_metadata: dict[str, Any] = Field(examples=[{"input_tokens": 1200, "output_tokens": 350}])
    occurred_at: datetime
    created_at: datetime


class UsageEntryPage(_Answer):
    """Entries, newest first."""

    items: list[UsageEntry]
    next_cursor: Cursor


class Totals(_Answer):
    """Sums of the whole period."""

    events: int
    credits: SignedAmount = Field(description="Charged and overage.")
    unfunded_credits: SignedAmount
    api_cost: Amount = Field(description="USD.")


class OutcomeSums(_Answer):
    """Sums of one outcome: events that began with it, credits that are there now."""

    outcome: EntryOutcome
    events: int
    credits: SignedAmount


class ServiceSums(Totals):
    """Sums of one service."""

    service_type: str = Field(examples=["llm"])
    service_name: str | None = Field(examples=["gpt-4o"])
    quantity: Amount


class UserSums(_Answer):
    """Sums of one user."""

    user_id: str = Field(examples=["ann@example.com"])
    events: int
    credits: SignedAmount
    unfunded_credits: SignedAmount


class Point(_Answer):
    """Sums of one span of the series."""

    start: datetime
    events: int
    credits: SignedAmount
    unfunded_credits: SignedAmount


class SeriesGroup(_Answer):
    """One part of the series; null without group_by, and for all that have no part of their own."""

    group: str | None
    points: list[Point]


class UsageSummary(_Answer):
    """Usage of a period, added up from one snapshot of the ledger."""

    org_id: str = Field(examples=["acme"])
    user_id: str | None = Field(description="Whose usage; null for everyone's.")
    start: datetime = Field(alias="from")
    end: datetime = Field(alias="to")
    interval: Interval
    group_by: Split | None
    totals: Totals
    by_outcome: list[OutcomeSums]
    by_service: list[ServiceSums] = Field(description="The hundred with most credits.")
    top_users: list[UserSums] | None = Field(description="The ten with most credits; null for members.")
    series: list[SeriesGroup]


class Organization(_Answer):
    """An organization as the caller sees it."""

    org_id: str = Field(examples=["acme"])
    name: str
    display_name: str
    status: Literal["active", "closed"]
    role: Role | None = Field(description="The caller's; null for a system admin who is no member.")


class OrganizationPage(_Answer):
    """Organizations by id."""

    items: list[Organization]
    next_cursor: Cursor


class Member(_Answer):
    """A member of an organization."""

    user_id: str = Field(examples=["ann@example.com"])
    role: Role
    created_at: datetime


class MemberPage(_Answer):
    """Members by user id."""

    items: list[Member]
    next_cursor: Cursor
