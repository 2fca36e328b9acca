"""Organizations: what the control plane writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meter.db.statements import statement
from meter.db.writing import writing

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    import asyncpg

    from meter.db.authorship import Author


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization as an operator sees it in a list; credits have six decimals."""

    id: str
    name: str
    status: str
    plan: str | None
    members: int
    total_credits: Decimal
    available_credits: Decimal
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Member:
    """A user of an organization."""

    user_id: str
    role: str
    created_at: datetime


class Organizations:
    """Who there is to charge.

    Args:
        pool: connections acting as ``meter_admin``.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(
        self,
        org_id: str,
        *,
        name: str | None,
        display_name: str | None,
        max_seats: int | None,
        owner: str | None = None,
        author: Author,
    ) -> bool:
        """Create an organization with an empty pool.

        Args:
            org_id: 1 to 36 letters, digits and ``. _ : -``.
            name: unique; the id where None.
            display_name: what people read; the name where None.
            max_seats: members at most; no bound where None.
            owner: the user who becomes its owner; nobody where None.
            author: who does it.

        Returns:
            Whether it was created; False where the same organization is there already.

        Raises:
            OrganizationTaken: the id or name is another's.
            InvalidArgument: the id is not allowed or was purged.
        """
        with writing():
            created: bool = await self._pool.fetchval(
                statement("create_organization"),
                org_id,
                name,
                display_name,
                max_seats,
                author.actor,
                author.request_id,
                owner,
            )
        return created

    async def all(self) -> list[Organization]:
        """List the organizations by id."""
        with writing():
            return [Organization(**row) for row in await self._pool.fetch(statement("organizations"))]

    async def close(self, org_id: str, *, actor: str) -> bool:
        """Close an organization; its usage from now on is recorded as unfunded.

        Returns:
            Whether it was open.

        Raises:
            UnknownOrganization: as it says.
        """
        with writing():
            closed: bool = await self._pool.fetchval(statement("close_organization"), org_id, actor)
        return closed
