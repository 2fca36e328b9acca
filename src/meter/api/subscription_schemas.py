"""Subscriptions as the OpenAPI document describes them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from meter.api.schemas import Amount, Answer, Cursor

Plan = Literal["platform", "byok", "hybrid"]
BillingCycle = Literal["monthly", "yearly", "custom"]
SubscriptionStatus = Literal["active", "trialing", "past_due", "canceled", "paused"]
Price = Annotated[Amount, Field(description="USD a month.", examples=["99"])]


class Subscription(Answer):
    """What an organization subscribes to. Its ETag goes into If-Match of a change."""

    id: UUID
    org_id: str = Field(examples=["acme"])
    plan: Plan
    billing_cycle: BillingCycle
    monthly_price: Price
    status: SubscriptionStatus = Field(
        description="While it is paused or canceled, usage is rated as without one."
    )
    trial_ends_at: datetime | None
    current_period_start: datetime
    current_period_end: datetime | None = Field(description="Null with a custom cycle.")
    cancel_at: datetime | None = Field(description="When it ends, or ended; null: it goes on.")
    canceled_at: datetime | None = Field(description="When it ended; null: it is live.")
    version: int = Field(description="Counts its changes.", ge=1)
    created_at: datetime
    updated_at: datetime


class SubscriptionPage(Answer):
    """Subscriptions, the newest first."""

    items: list[Subscription]
    next_cursor: Cursor
