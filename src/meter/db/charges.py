"""Single charges that services make at once, without the broker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meter.db.statements import statement
from meter.db.writing import ACQUIRE_TIMEOUT_S, writing

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal
    from uuid import UUID

    import asyncpg

    from meter.db.authorship import Author


@dataclass(frozen=True, slots=True)
class Charge:
    """A usage event with its price."""

    org_id: str
    user_id: str
    credits: Decimal
    service_type: str
    service_name: str | None
    #: The caller's own id of what used it.
    request_id: str | None
    #: A JSON object.
    metadata: str
    #: The event's id.
    key: str
    #: None: now.
    occurred_at: datetime | None


@dataclass(frozen=True, slots=True)
class Charged:
    """A usage event that was charged; credits have six decimals."""

    event_key: UUID
    outcome: str
    credits_used: Decimal
    occurred_at: datetime


class Charges:
    """Charges made by services.

    Args:
        pool: connections acting as ``meter_admin``.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def charge(self, charge: Charge, author: Author) -> Charged:
        """Charge an event now, once: the same event again is answered as the first time.

        Args:
            charge: the event.
            author: who asks; the actor is the event's source.

        Returns:
            What was charged.

        Raises:
            InsufficientCredits, NoAllocation: nothing was written.
            RequestStillRunning: the first request with the same key has not ended.
            IdentityConflict: the key came before with other content, or its charge was taken back.
            UnknownOrganization, OrganizationClosed, InvalidArgument: as they say.
            WriteTookTooLong, DatabaseNotReachable: as ``meter.db.writing.writing``.
        """
        arguments = (
            *(charge.org_id, charge.user_id, charge.credits, charge.service_type, charge.service_name),
            *(charge.request_id, charge.metadata, charge.key, author.actor, charge.occurred_at),
            author.request_id,
        )
        with writing():
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                row = await connection.fetchrow(statement("charge_once"), *arguments)
        return Charged(**row)
