"""What the writes of credits are sent, and what they answer."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, PlainValidator, StrictBool, WithJsonSchema

from meter.admin.request_bodies import Asked
from meter.api.parameters import amount_pattern
from meter.api.schemas import Amount, Answer, ProblemDetails, ResetPeriod, SignedAmount
from meter.credits import AMOUNT_LIMIT
from meter.events.fields import (
    Moment,
    OptionalText200,
    OptionalText255,
    OrganizationId,
    Text100,
    Text255,
    exact_decimal,
    refused,
)
from meter.events.metadata import exact_metadata

Reason = Literal["purchase", "renewal", "bonus", "refund"]


def _more_than_nothing(credits: Decimal) -> Decimal:
    if not credits:
        raise refused("must be more than 0")
    return credits


def text_or_number(pattern: str, *, below: int, minimum: float = 0) -> WithJsonSchema:
    """Describe an amount in a body.

    Args:
        pattern: what it must be as text.
        below: what it must stay under as a number.
        minimum: what it must be at least as a number.
    """
    number = {"type": "number", "minimum": minimum, "exclusiveMaximum": below}
    return WithJsonSchema({"anyOf": [{"type": "string", "pattern": pattern}, number]})


BodyAmount = Annotated[
    Decimal, PlainValidator(exact_decimal), text_or_number(amount_pattern(), below=int(AMOUNT_LIMIT))
]
SomeCredits = Annotated[
    Decimal,
    PlainValidator(exact_decimal),
    AfterValidator(_more_than_nothing),
    text_or_number(amount_pattern(ahead="(?=.*[1-9])"), below=int(AMOUNT_LIMIT), minimum=0.000001),
]
Notes = Annotated[OptionalText255 | None, Field(description="Kept in the billing history.")]
Metadata = Annotated[
    dict[str, object],
    PlainValidator(exact_metadata),
    WithJsonSchema({"type": ["object", "null"], "description": "Kept with the event; at most 8 KiB."}),
]


class AddCredits(Asked):
    """Credits that come into the pool."""

    credits: SomeCredits = Field(description="More than 0.")
    purchase_amount: BodyAmount = Field(default=Decimal(0), description="What was paid, in USD.")
    reason: Reason
    payment_reference: Text255 | None = Field(
        default=None,
        description="Of the payment; counts once in the organization. Needed where an admin adds them.",
    )
    notes: Notes = None


class ReverseCredits(Asked):
    """Credits that go out of the pool again because they came in by mistake."""

    credits: SomeCredits = Field(description="More than 0, at most what is unused.")
    purchase_amount: BodyAmount = Field(
        default=Decimal(0), description="What of the money goes back, in USD."
    )
    reason: Reason = Field(default="purchase", description="What they came in as.")
    notes: Notes = None


class AllocateCredits(Asked):
    """What a member may spend from now on."""

    user_id: Text255 = Field(description="A member of the organization.")
    credits: BodyAmount = Field(description="The new limit; may be below what is used.")
    reset_period: ResetPeriod | None = Field(
        default=None, description="When what is used counts from 0 again; null keeps what is set."
    )
    is_active: StrictBool = Field(default=True, description="False takes the limit's holder out.")
    notes: OptionalText255 | None = Field(default=None, description="Null keeps what is set.")


class DeductCredits(Asked):
    """One usage event with its price, charged at once."""

    org_id: OrganizationId
    user_id: Text255
    credits: BodyAmount = Field(description="Charge exactly this.")
    service_type: Text100
    service_name: OptionalText200 | None = None
    request_id: OptionalText255 | None = Field(default=None, description="The caller's own.")
    metadata: Metadata = Field(default_factory=dict)
    occurred_at: Moment | None = Field(default=None, description="When the usage happened; now where null.")


class CreditsAdded(Answer):
    """The pool after credits came in."""

    org_id: str = Field(examples=["acme"])
    credits: Amount
    reason: Reason
    total_credits: Amount
    available_credits: SignedAmount
    funded_events: int = Field(description="Unfunded events that were settled; workers go on with the rest.")


class CreditsReversed(Answer):
    """The pool after credits went out again."""

    org_id: str = Field(examples=["acme"])
    credits: Amount
    total_credits: Amount
    available_credits: SignedAmount


class CreditsAllocated(Answer):
    """A member's limit as it is now."""

    org_id: str = Field(examples=["acme"])
    user_id: str = Field(examples=["ann@example.com"])
    allocation_id: int
    allocated_credits: Amount
    used_credits: Amount = Field(description="In the present period.")
    remaining_credits: Amount
    is_active: bool
    funded_events: int = Field(description="Unfunded events that were settled; workers go on with the rest.")


class CreditsDeducted(Answer):
    """A charge that was made."""

    event_key: UUID = Field(description="Under which the usage history has it.")
    org_id: str = Field(examples=["acme"])
    user_id: str = Field(examples=["ann@example.com"])
    credits: Amount
    outcome: Literal["charged", "overage"]
    occurred_at: datetime


class WriteProblem(ProblemDetails):
    """Problem details of a write, RFC 9457; with some, what would be possible."""

    available: Amount | None = Field(
        default=None, description="What the pool has that is promised to nobody else."
    )
    largest: Amount | None = Field(default=None, description="The largest credits that would be taken.")
    largest_purchase_amount: Amount | None = Field(
        default=None, description="The largest purchase_amount that would be taken."
    )
    reason: Literal["no_allocation", "allocation_exhausted", "pool_exhausted"] | None = Field(
        default=None, description="Why a charge cannot be taken."
    )
