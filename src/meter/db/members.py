"""Members of organizations: what the control plane writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meter.db.organizations import Member
from meter.db.statements import statement
from meter.db.writing import writing

if TYPE_CHECKING:
    import asyncpg

    from meter.db.authorship import Author

Role = Literal["member", "admin", "owner"]


class Members:
    """Who belongs to an organization, as what.

    Every change raises ``UnknownOrganization``; ``InvalidArgument``; ``NotPermitted`` where the author's
    member is no admin or owner, or no owner where owners are concerned; ``LastOwner`` where the organization
    would be without an owner.

    Args:
        pool: connections acting as ``meter_admin``.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(
        self, org_id: str, user_id: str, role: Role, *, author: Author, only_new: bool = False
    ) -> bool:
        """Make a user a member, or give a member another role.

        Args:
            org_id: the organization.
            user_id: the user, 1 to 255 characters.
            role: what the member may do.
            author: who does it.
            only_new: refuse a member who has another role.

        Returns:
            Whether anything changed.

        Raises:
            OrganizationClosed, SeatsTaken: as they say.
            MemberAlready: ``only_new``, and the user has another role.
        """
        with writing():
            changed: bool = await self._pool.fetchval(
                statement("add_organization_member"),
                org_id,
                user_id,
                role,
                author.actor,
                author.request_id,
                author.member,
                only_new,
            )
        return changed

    async def change_role(self, org_id: str, user_id: str, role: Role, *, author: Author) -> bool:
        """Give a member another role.

        Args:
            org_id: the organization.
            user_id: the member.
            role: what the member may do from now on.
            author: who does it.

        Returns:
            Whether anything changed.

        Raises:
            UnknownMember, OrganizationClosed: as they say.
        """
        with writing():
            changed: bool = await self._pool.fetchval(
                statement("change_member_role"),
                org_id,
                user_id,
                role,
                author.actor,
                author.request_id,
                author.member,
            )
        return changed

    async def remove(self, org_id: str, user_id: str, *, author: Author) -> None:
        """Take a user out of an organization; what the user may spend of its pool ends with that.

        Args:
            org_id: the organization; it may be closed.
            user_id: the member.
            author: who does it.

        Raises:
            UnknownMember: as it says.
        """
        with writing():
            await self._pool.execute(
                statement("remove_organization_member"),
                org_id,
                user_id,
                author.actor,
                author.request_id,
                author.member,
            )

    async def all(self, org_id: str) -> list[Member]:
        """List the members of an organization by user id."""
        with writing():
            return [
                Member(**row) for row in await self._pool.fetch(statement("organization_members"), org_id)
            ]

    async def one(self, org_id: str, user_id: str) -> Member | None:
        """Read one member of an organization; None where the user is none."""
        with writing():
            row = await self._pool.fetchrow(statement("organization_member"), org_id, user_id)
        return None if row is None else Member(**row)
