"""What organizations have and what their users may spend: what is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from meter.db.reader import present_reader
from meter.db.reading import reading
from meter.db.statements import statement

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from meter.db.reader import ReaderConnections


class CreditPool(msgspec.Struct, frozen=True):
    """The pool of an organization; its amounts are text as `meter.credits.format_amount` writes it.

    A struct, for it is only read and passed on, and asked for before every expensive call.
    """

    org_id: str
    status: str
    total_credits: str
    used_credits: str
    available_credits: str
    allocated_credits: str
    overage_credits: str
    overage_billed_credits: str
    unfunded_credits: str
    allow_overage: bool
    overage_limit: str
    #: USD a credit.
    overage_rate: str
    allocation_required: bool
    monthly_refresh_amount: str
    last_refresh_date: datetime | None
    next_refresh_date: datetime | None
    lifetime_purchased_credits: str
    #: USD.
    lifetime_spent_amount: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class UserAllocation:
    """A user's limit within an organization; credits have six decimals."""

    user_id: str
    allocation_id: int
    allocated_credits: Decimal
    used_credits: Decimal
    remaining_credits: Decimal
    period_no: int
    reset_period: str
    last_reset_date: datetime | None
    next_reset_date: datetime | None
    is_active: bool
    allocated_by: str
    notes: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class UserCredits:
    """What a user may spend in one of the user's organizations; credits have six decimals."""

    org_id: str
    name: str
    role: str
    allocation_id: int
    allocated_credits: Decimal
    used_credits: Decimal
    remaining_credits: Decimal
    period_no: int
    reset_period: str
    last_reset_date: datetime | None
    next_reset_date: datetime | None
    is_active: bool
    pool_available_credits: Decimal
    #: What a charge could take now: the lesser of what remains and what the pool has.
    spendable_credits: Decimal


class Balances:
    """Pools and allocations.

    Every method raises the errors of ``meter.db.reading.reading``.

    Args:
        connections: acting as ``meter_reader``.
    """

    def __init__(self, connections: ReaderConnections) -> None:
        self._connections = connections

    async def credit_pool(self, org_id: str) -> CreditPool | None:
        """Read the pool of an organization, and in the same statement whether it may be read.

        Args:
            org_id: the organization.

        Returns:
            The pool; None where there is no such organization, or none that the present reader sees.
        """
        with reading():
            row = await self._connections.ask(
                statement("read_pool"), *present_reader().about(org_id).settings()
            )
        return None if row is None else CreditPool(*row)

    async def allocations(self, org_id: str, *, after: str, limit: int) -> list[UserAllocation]:
        """Read the allocations of an organization in the order of the user ids, inactive ones too.

        Args:
            org_id: the organization.
            after: the user id before the first wanted; empty for the first page.
            limit: rows at most.
        """
        with reading():
            rows = await self._connections.fetch(statement("read_allocations"), org_id, after, limit)
        return [UserAllocation(**row) for row in rows]

    async def of_user(self, user_id: str, *, after: str, limit: int) -> list[UserCredits]:
        """Read the allocations of a user in all the user's organizations, in the order of their ids.

        Args:
            user_id: the user.
            after: the organization id before the first wanted; empty for the first page.
            limit: rows at most.
        """
        with reading():
            rows = await self._connections.fetch(statement("read_user_credits"), user_id, after, limit)
        return [UserCredits(**row) for row in rows]

    async def suffices(self, org_id: str, user_id: str, amount: Decimal) -> bool:
        """Say whether a charge would be taken now, from the pool or as overage.

        Args:
            org_id: whose pool.
            user_id: whose allocation.
            amount: how many credits, at least 0, at most six decimals.
        """
        with reading():
            row = await self._connections.ask(statement("read_sufficiency"), org_id, user_id, amount)
        return row is not None and bool(row["sufficient"])
