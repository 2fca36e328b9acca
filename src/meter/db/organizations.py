"""Organizations, their members and their subscriptions: what the control plane writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from meter.db.refusals import refusals_as_errors
from meter.db.statements import statement

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal
    from uuid import UUID

    import asyncpg

Role = Literal["member", "admin", "owner"]
Plan = Literal["platform", "byok", "hybrid"]


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
        self, org_id: str, *, name: str | None, display_name: str | None, max_seats: int | None, actor: str
    ) -> bool:
        """Create an organization with an empty pool.

        Args:
            org_id: 1 to 36 letters, digits and ``. _ : -``.
            name: unique; the id where None.
            display_name: what people read; the name where None.
            max_seats: members at most; no bound where None.
            actor: who did it, for the history.

        Returns:
            Whether it was created; False where the same organization is there already.

        Raises:
            IdentityConflict: the id or name is taken by another.
            InvalidArgument: the id is not allowed or was purged.
        """
        with refusals_as_errors():
            created: bool = await self._pool.fetchval(
                statement("create_organization"), org_id, name, display_name, max_seats, actor
            )
        return created

    async def all(self) -> list[Organization]:
        """List the organizations by id."""
        with refusals_as_errors():
            return [Organization(**row) for row in await self._pool.fetch(statement("organizations"))]

    async def add_member(self, org_id: str, user_id: str, role: Role, *, actor: str) -> bool:
        """Make a user a member, or give a member another role.

        Args:
            org_id: the organization.
            user_id: the user, 1 to 255 characters.
            role: what the member may do.
            actor: who did it, for the history.

        Returns:
            Whether anything changed.

        Raises:
            UnknownOrganization, OrganizationClosed, InvalidArgument: as they say.
            IdentityConflict: all seats are taken.
        """
        with refusals_as_errors():
            changed: bool = await self._pool.fetchval(
                statement("add_organization_member"), org_id, user_id, role, actor
            )
        return changed

    async def members(self, org_id: str) -> list[Member]:
        """List the members of an organization by user id."""
        with refusals_as_errors():
            return [
                Member(**row) for row in await self._pool.fetch(statement("organization_members"), org_id)
            ]

    async def start_subscription(self, org_id: str, plan: Plan, *, actor: str) -> UUID:
        """Start a monthly subscription at the plan's price; usage from now on is rated by its plan.

        Returns:
            The subscription's id.

        Raises:
            UnknownOrganization, OrganizationClosed: as they say.
            IdentityConflict: the organization has a live subscription.
        """
        with refusals_as_errors():
            subscription: UUID = await self._pool.fetchval(
                statement("start_subscription"), org_id, plan, actor
            )
        return subscription

    async def close(self, org_id: str, *, actor: str) -> bool:
        """Close an organization; its usage from now on is recorded as unfunded.

        Returns:
            Whether it was open.

        Raises:
            UnknownOrganization: as it says.
        """
        with refusals_as_errors():
            closed: bool = await self._pool.fetchval(statement("close_organization"), org_id, actor)
        return closed
