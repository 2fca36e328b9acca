"""The bodies of the answers as the OpenAPI document describes them.

What goes out is written by ``bodies``; the tests hold every answer to these models.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

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
        examples=["12.5"],
    ),
]
Role = Literal["member", "admin", "owner"]
ResetPeriod = Literal["daily", "weekly", "monthly", "never"]
Cursor = Annotated[
    str | None,
    Field(
        description="Hand it back as cursor for the next page; null on the last.",
        examples=["AWFubkBleGFtcGxl"],
    ),
]


class Answer(BaseModel):
    """A body of the API."""

    model_config = ConfigDict(extra="forbid")


class Fault(Answer):
    """One thing wrong with a request."""

    place: str = Field(examples=["query"])
    name: str = Field(examples=["limit"])
    detail: str = Field(examples=["Input should be less than or equal to 1000"])


class ProblemDetails(Answer):
    """Problem details, RFC 9457."""

    type: str = Field(
        description="Stable; tell errors apart by it.", examples=["urn:meter:problem:not-found"]
    )
    title: str
    status: int
    detail: str
    errors: list[Fault] = Field(default=[], description="What is wrong, one by one; only with 422.")


class CreditPool(Answer):
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


class _AllocationFacts(Answer):
    allocation_id: int = Field(examples=[17])
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
    allocated_by: str = Field(examples=["olga@example.com"])
    notes: str | None = Field(examples=["for the pilot"])
    created_at: datetime
    updated_at: datetime


class AllocationPage(Answer):
    """Allocations by user id."""

    items: list[Allocation]
    next_cursor: Cursor


class UserCredits(_AllocationFacts):
    """What a user may spend in one organization."""

    org_id: str = Field(examples=["acme"])
    name: str = Field(examples=["Acme"])
    role: Role
    pool_available_credits: SignedAmount
    spendable_credits: Amount = Field(description="The lesser of what remains and what the pool has.")


class UserCreditsPage(Answer):
    """A user's allocations by organization id."""

    items: list[UserCredits]
    next_cursor: Cursor


class CreditCheck(Answer):
    """Whether a charge would be taken now. Nothing is reserved."""

    org_id: str = Field(examples=["acme"])
    user_id: str = Field(examples=["ann@example.com"])
    credits: Amount
    sufficient: bool


class Organization(Answer):
    """An organization as the caller sees it."""

    org_id: str = Field(examples=["acme"])
    name: str = Field(examples=["Acme"])
    display_name: str = Field(examples=["Acme Inc."])
    status: Literal["active", "closed"]
    role: Role | None = Field(description="The caller's; null for a system admin who is no member.")


class OrganizationPage(Answer):
    """Organizations by id."""

    items: list[Organization]
    next_cursor: Cursor


class Member(Answer):
    """A member of an organization."""

    user_id: str = Field(examples=["ann@example.com"])
    role: Role
    created_at: datetime


class MemberPage(Answer):
    """Members by user id."""

    items: list[Member]
    next_cursor: Cursor
