"""Subscriptions of organizations: what is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meter.db.reading import reading
from meter.db.statements import statement
from meter.db.subscriptions import Subscription

if TYPE_CHECKING:
    from uuid import UUID

    from meter.db.reader import ReaderConnections


class SubscriptionReads:
    """What organizations subscribe to, as members see it.

    Every method raises the errors of ``meter.db.reading.reading``.

    Args:
        connections: they show what the present reader may see.
    """

    def __init__(self, connections: ReaderConnections) -> None:
        self._connections = connections

    async def one(self, subscription_id: UUID) -> Subscription | None:
        """Read a subscription.

        Args:
            subscription_id: which.

        Returns:
            None where there is none, or none that the present reader sees.
        """
        with reading():
            row = await self._connections.fetchrow(statement("read_subscription"), subscription_id)
        return None if row is None else Subscription(**row)

    async def of_organization(self, org_id: str, *, after: UUID | None, limit: int) -> list[Subscription]:
        """Read the subscriptions that an organization has had, the newest first.

        Args:
            org_id: the organization.
            after: the subscription before the first wanted; None for the first page.
            limit: rows at most.
        """
        with reading():
            rows = await self._connections.fetch(statement("read_subscriptions"), org_id, after, limit)
        return [Subscription(**row) for row in rows]
