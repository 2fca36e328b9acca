"""The bodies of the answers about usage as the OpenAPI document describes them; see ``schemas``."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from meter.api.parameters import EntryOutcome
from meter.api.schemas import Amount, Answer, Cursor, SignedAmount
from meter.db.usage_summary import Interval, Split


class UsageEntry(Answer):
    """One row of the ledger. Balances are sums of credits_used; events are counted by entry 0."""

    event_key: UUID
    entry: int = Field(description="0: the event with its first outcome; later ones move it.", examples=[0])
    event_id: str = Field(examples=["chat-4711"])
    source: str = Field(examples=["chat-service"])
    user_id: str | None = Field(description="Null of a void's own row.", examples=["ann@example.com"])
    service_type: str = Field(examples=["llm"])
    service_name: str | None = Field(examples=["gpt-4o"])
    quantity: Amount
    credits_used: SignedAmount
    outcome: EntryOutcome = Field(examples=["unfunded"])
    reason: (
        Literal["organization_closed", "no_allocation", "allocation_exhausted", "pool_exhausted"] | None
    ) = Field(description="Why it is unfunded.", examples=["pool_exhausted"])
    key_source: Literal["platform", "byok"]
    api_cost: Amount | None = Field(description="USD.")
    markup_applied: Amount | None
    total_cost: SignedAmount = Field(description="USD.")
    allocation_id: int | None = Field(examples=[17])
    period_no: int | None
    request_id: str | None = Field(examples=["019a1c3e-7f00-7000-8000-000000000000"])
    request_metadata: dict[str, Any] = Field(examples=[{"input_tokens": 1200, "output_tokens": 350}])
    occurred_at: datetime
    created_at: datetime


class UsageEntryPage(Answer):
    """Entries, newest first."""

    items: list[UsageEntry]
    next_cursor: Cursor


class Totals(Answer):
    """Sums of the whole period."""

    events: int
    credits: SignedAmount = Field(description="Charged and overage.")
    unfunded_credits: SignedAmount
    api_cost: Amount = Field(description="USD.")


class OutcomeSums(Answer):
    """Sums of one outcome: events that began with it, credits that are there now. Voids are no usage."""

    outcome: EntryOutcome
    events: int
    credits: SignedAmount


class ServiceSums(Totals):
    """Sums of one service."""

    service_type: str = Field(examples=["llm"])
    service_name: str | None = Field(examples=["gpt-4o"])
    quantity: Amount


class UserSums(Answer):
    """Sums of one user."""

    user_id: str = Field(examples=["ann@example.com"])
    events: int
    credits: SignedAmount
    unfunded_credits: SignedAmount


class Point(Answer):
    """Sums of one span of the series."""

    start: datetime
    events: int
    credits: SignedAmount
    unfunded_credits: SignedAmount


class SeriesGroup(Answer):
    """One part of the series; null without group_by, and for all that have no part of their own."""

    group: str | None = Field(examples=["llm"])
    points: list[Point]


class UsageSummary(Answer):
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
