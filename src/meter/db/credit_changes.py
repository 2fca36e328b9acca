"""Credits as people and services change them over HTTP, each within the transaction of its request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from meter.db.credits import Allocation, PoolBalance
from meter.db.statements import statement

if TYPE_CHECKING:
    from decimal import Decimal

    import asyncpg

    from meter.db.authorship import Author
    from meter.db.credits import CreditReason, ResetPeriod


@dataclass(frozen=True, slots=True)
class Addition:
    """Credits that come into a pool."""

    org_id: str
    #: More than 0.
    credits: Decimal
    #: USD.
    purchase_amount: Decimal
    reason: CreditReason
    #: Counts once in the organization.
    payment_reference: str | None
    notes: str | None


@dataclass(frozen=True, slots=True)
class Reversal:
    """Credits that go out of a pool again because they came in by mistake."""

    org_id: str
    #: More than 0.
    credits: Decimal
    #: USD.
    purchase_amount: Decimal
    #: What they came in as.
    reason: CreditReason
    notes: str | None


@dataclass(frozen=True, slots=True)
class Limit:
    """What a member may spend from now on."""

    org_id: str
    user_id: str
    credits: Decimal
    #: None keeps what is set.
    reset_period: ResetPeriod | None
    is_active: bool
    #: None keeps what is set.
    notes: str | None


@dataclass(frozen=True, slots=True)
class ReversedPool:
    """A pool after credits went out; credits have six decimals."""

    total_credits: Decimal
    available_credits: Decimal


class CreditChanges:
    """Changes of pools and allocations.

    Every method raises ``UnknownOrganization``, ``OrganizationClosed``, ``InvalidArgument`` and
    ``asyncpg.PostgresError`` as they say; the transaction is over then.

    Args:
        connection: acting as ``meter_admin``, in the transaction of the request.
        author: who changes it.
    """

    def __init__(self, connection: asyncpg.Connection, author: Author) -> None:
        self._connection = connection
        self._author = author

    async def add(self, addition: Addition) -> PoolBalance:
        """Add credits to a pool and settle what was unfunded.

        Raises:
            PaymentReferenceUsed: credits were added for this payment before.
        """
        row = await self._connection.fetchrow(
            statement("add_credits_by_request"),
            addition.org_id,
            addition.credits,
            addition.purchase_amount,
            addition.reason,
            self._author.actor,
            self._author.request_id,
            _metadata(payment_reference=addition.payment_reference, notes=addition.notes),
        )
        if addition.payment_reference is not None:
            # Now that the pool is held and the organization known to be there and open.
            await self._connection.execute(
                statement("claim_payment_reference"), addition.org_id, addition.payment_reference
            )
        return PoolBalance(**row)

    async def reverse(self, reversal: Reversal) -> ReversedPool:
        """Take credits out of a pool again.

        Raises:
            ReversalTooLarge: its detail says how much can be taken back.
        """
        row = await self._connection.fetchrow(
            statement("reverse_credits"),
            reversal.org_id,
            reversal.credits,
            reversal.purchase_amount,
            reversal.reason,
            self._author.actor,
            self._author.request_id,
            _metadata(notes=reversal.notes),
        )
        return ReversedPool(**row)

    async def allocate(self, limit: Limit) -> Allocation:
        """Set a member's limit and settle what was unfunded for want of it.

        Raises:
            NotAMember: the user does not belong to the organization.
            AllocationExceedsPool: its detail says how much is left.
        """
        await self._connection.execute(statement("require_member"), limit.org_id, limit.user_id)
        row = await self._connection.fetchrow(
            statement("allocate_by_request"),
            limit.org_id,
            limit.user_id,
            limit.credits,
            self._author.actor,
            limit.reset_period,
            limit.is_active,
            limit.notes,
            self._author.request_id,
        )
        return Allocation(**row)


def _metadata(**given: str | None) -> str:
    return msgspec.json.encode({name: text for name, text in given.items() if text is not None}).decode()
