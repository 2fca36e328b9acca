"""What changes of subscriptions are sent, and what they answer."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, PlainValidator, StrictBool, WithJsonSchema

from meter.admin.request_bodies import WHOLE, Asked
from meter.admin.schemas import text_or_number
from meter.api.parameters import amount_pattern
from meter.api.schemas import Amount, Answer, SignedAmount
from meter.api.subscription_schemas import BillingCycle, Plan, Subscription
from meter.events.fields import OrganizationId, exact_decimal, refused

#: What the books keep of a price: ten digits before the point.
_PRICE_BELOW = 10**10


def _price(amount: Decimal) -> Decimal:
    if amount >= _PRICE_BELOW or amount != round(amount, 2):
        raise refused("must be from 0 to 9999999999.99 with at most two decimal places")
    return amount


def _withdrawal(cancel: bool) -> bool:
    if cancel:
        raise refused("can only be false; to cancel, DELETE the subscription")
    return cancel


Price = Annotated[
    Decimal,
    PlainValidator(exact_decimal),
    AfterValidator(_price),
    text_or_number(amount_pattern(digits=10, places=2), below=_PRICE_BELOW),
]
#: Not a literal: to that, 0 is false.
Withdrawal = Annotated[
    StrictBool, AfterValidator(_withdrawal), WithJsonSchema({"type": "boolean", "const": False})
]
_OVERRIDE = "USD a month; only system admins set it. The plan's where absent."


class StartSubscription(Asked):
    """A subscription that starts now."""

    org_id: OrganizationId
    plan: Plan
    billing_cycle: BillingCycle = "monthly"
    trial_days: Annotated[int, Field(strict=True, ge=0, le=730), WHOLE] = Field(
        default=0,
        description="The first paid period begins after them. At most 90, and once for an organization; "
        "system admins give more.",
    )
    monthly_price: Price | None = Field(default=None, description=_OVERRIDE)


class ChangeSubscription(Asked):
    """What is to be different; what is absent stays."""

    plan: Plan | None = Field(default=None, description="Comes at its own price.")
    billing_cycle: BillingCycle | None = Field(default=None, description="A new one begins a new period now.")
    monthly_price: Price | None = Field(default=None, description=_OVERRIDE)
    paused: StrictBool | None = Field(
        default=None, description="true pauses; false resumes, in a new period where the paid one is over."
    )
    cancel_at_period_end: Withdrawal | None = Field(
        default=None, description="false withdraws a cancellation that has not taken effect."
    )


class CancelQuery(BaseModel):
    """When it ends."""

    immediately: bool = Field(
        False, description="At once instead of at the end of the period.", examples=[True]
    )


class Proration(Answer):
    """What a change of the terms means for the period, in USD."""

    credit: Amount = Field(description="Of the old price, for the rest of the period.")
    charge: Amount = Field(
        description="Of the new price, for the rest of the period; for all of the new one with a new cycle."
    )
    amount: SignedAmount = Field(description="charge − credit")
    currency: Literal["USD"]
    start: datetime = Field(alias="from")
    end: datetime | None = Field(alias="to")


class SubscriptionChanged(Subscription):
    """A subscription after a change."""

    changed: bool = Field(description="false where everything was so already; then nothing is recorded.")
    proration: Proration | None = Field(
        description="Null where the terms are the same, or one of the cycles is custom."
    )
