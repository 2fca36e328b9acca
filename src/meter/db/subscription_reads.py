"""Subscriptions of organizations: what is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meter.db.reading import reading
from meter.db.statements import statement
from meter.db.subscriptions import Subscription

if TYPE_CHECKING:
    from uuid import UUID

    import asyncpg


class SubscriptionReads:
    """What organizations subscribe to, as members see it.

    Every method raises the errors of ``meter.db.reading.reading``.

    Args:
        pool: connections acting as ``meter_reader``.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def one(
        self, subscription_id: UUID, reader: str, *, sees_every_organization: bool
    ) -> Subscription | None:
        """Read a subscription.

        Args:
            subscription_id: which.
            reader: the user who asks.
            sees_every_organization: whether the user need not be a member.

        Returns:
            None where there is none, or none of an organization that the reader belongs to.
        """
        with reading():
            row = await self._pool.fetchrow(
                statement("read_subscription"), subscription_id, reader, sees_every_organization
            )
        return None if row is None else Subscription(**row)

    async def of_organization(self, org_id: str, *, after: UUID | None, limit: int) -> list[Subscription]:
        """Read the subscriptions that an organization has had, the newest first.

        Args:
            org_id: the organization.
            after: the subscription before the first wanted; None for the first page.
            limit: rows at most.
        """
        with reading():
            rows = await self._pool.fetch(statement("read_subscriptions"), org_id, after, limit)
        return [Subscription(**row) for row in rows]
