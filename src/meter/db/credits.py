"""Credits in pools and allocations: what the control plane writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from meter.db.refusals import refusals_as_errors
from meter.db.statements import statement

if TYPE_CHECKING:
    from decimal import Decimal

    import asyncpg

ResetPeriod = Literal["daily", "weekly", "monthly", "never"]
CreditReason = Literal["purchase", "renewal", "bonus", "refund"]


@dataclass(frozen=True, slots=True)
class PoolBalance:
    """A pool after credits came in; credits have six decimals."""

    total_credits: Decimal
    available_credits: Decimal
    #: Unfunded events that could be settled with them; workers go on with the rest.
    funded_events: int


@dataclass(frozen=True, slots=True)
class Allocation:
    """A user's limit and what is left of it in its current period; credits have six decimals."""

    allocation_id: int
    allocated_credits: Decimal
    used_credits: Decimal
    remaining_credits: Decimal
    funded_events: int


class Credits:
    """What organizations have bought and how it is shared out.

    Args:
        pool: connections acting as ``meter_admin``.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(
        self,
        org_id: str,
        credits: Decimal,
        *,
        purchase_amount: Decimal,
        reason: CreditReason,
        actor: str,
        idempotency_key: str | None = None,
    ) -> PoolBalance:
        """Add credits to a pool and settle what was unfunded.

        Args:
            org_id: the organization.
            credits: more than 0, at most six decimals.
            purchase_amount: USD paid for them, at least 0.
            reason: why they come in.
            actor: who did it, for the history.
            idempotency_key: a repeated key returns the first result and changes nothing.

        Returns:
            The pool as it is then.

        Raises:
            UnknownOrganization, OrganizationClosed, InvalidArgument: as they say.
            IdentityConflict: the key was used with other arguments.
        """
        with refusals_as_errors():
            row = await self._pool.fetchrow(
                statement("add_credits_to_pool"),
                org_id,
                credits,
                purchase_amount,
                reason,
                actor,
                idempotency_key,
            )
        return PoolBalance(**row)

    async def allocate(
        self,
        org_id: str,
        user_id: str,
        credits: Decimal,
        *,
        reset_period: ResetPeriod | None,
        is_active: bool = True,
        actor: str,
        idempotency_key: str | None = None,
    ) -> Allocation:
        """Set a user's limit within the pool and settle what was unfunded for want of it.

        Args:
            org_id: the organization.
            user_id: the user.
            credits: the new limit, at least 0; below what is used too.
            reset_period: when what is used starts from 0 again; None keeps what is set.
            is_active: False takes the limit's holder out.
            actor: who did it.
            idempotency_key: a repeated key returns the first result and changes nothing.

        Returns:
            The allocation as it is then.

        Raises:
            AllocationExceedsPool: the active allocations would promise more than is available.
            UnknownOrganization, OrganizationClosed, InvalidArgument, IdentityConflict: as they say.
        """
        with refusals_as_errors():
            row = await self._pool.fetchrow(
                statement("allocate_credits_to_user"),
                org_id,
                user_id,
                credits,
                actor,
                reset_period,
                is_active,
                idempotency_key,
            )
        return Allocation(**row)

    async def set_pool_terms(
        self,
        org_id: str,
        *,
        allocation_required: bool | None = None,
        allow_overage: bool | None = None,
        overage_limit: Decimal | None = None,
        actor: str,
    ) -> int:
        """Say how an organization's usage is taken; None keeps what is set.

        Args:
            org_id: the organization.
            allocation_required: whether a user without an allocation may spend nothing.
            allow_overage: whether the pool may be overdrawn.
            overage_limit: credits not yet billed, at most.
            actor: who did it, for the history.

        Returns:
            How many unfunded events could be settled then.

        Raises:
            UnknownOrganization, OrganizationClosed, InvalidArgument: as they say.
        """
        with refusals_as_errors():
            funded: int = await self._pool.fetchval(
                statement("set_pool_terms"), org_id, allocation_required, allow_overage, overage_limit, actor
            )
        return funded
