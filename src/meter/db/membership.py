"""Who belongs to which organization, as what: what is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meter.db.organizations import Member
from meter.db.reader import Reader, present_reader
from meter.db.reading import reading
from meter.db.statements import statement

if TYPE_CHECKING:
    from meter.db.reader import ReaderConnections


@dataclass(frozen=True, slots=True)
class Standing:
    """What a user is in an organization that exists; the role is None for who is no member."""

    role: str | None


@dataclass(frozen=True, slots=True)
class OrganizationOfUser:
    """An organization as one user sees it."""

    org_id: str
    name: str
    display_name: str
    status: str
    role: str | None


class Membership:
    """Organizations and their members.

    Every method raises the errors of ``meter.db.reading.reading``.

    Args:
        connections: acting as ``meter_reader``.
    """

    def __init__(self, connections: ReaderConnections) -> None:
        self._connections = connections

    async def standing(self, org_id: str, user_id: str) -> Standing | None:
        """Read what a user is in an organization.

        Returns:
            None where there is no such organization; or where the user is no member of it, unless the present
            reader is held to no membership.
        """
        reader = Reader(user_id, org_id, present_reader().sees_everything)
        with reading():
            row = await self._connections.ask(statement("read_role"), *reader.settings())
        return None if row is None else Standing(row["role"])

    async def administers_any(self, user_id: str) -> bool:
        """Read whether a user is admin or owner of any organization."""
        with reading():
            found: bool = await self._connections.fetchval(statement("read_whether_administrator"), user_id)
        return found

    async def organizations_of(
        self, user_id: str, *, sees_every_organization: bool, after: str, limit: int
    ) -> list[OrganizationOfUser]:
        """Read the organizations that a user may see, by id.

        Args:
            user_id: the user.
            sees_every_organization: whether the user need not be a member.
            after: the organization id before the first wanted; empty for the first page.
            limit: rows at most.
        """
        name = "read_all_organizations" if sees_every_organization else "read_user_organizations"
        with reading():
            rows = await self._connections.fetch(statement(name), user_id, after, limit)
        return [OrganizationOfUser(**row) for row in rows]

    async def members(self, org_id: str, *, after: str, limit: int) -> list[Member]:
        """Read the members of an organization, by user id.

        Args:
            org_id: the organization.
            after: the user id before the first wanted; empty for the first page.
            limit: rows at most.
        """
        with reading():
            rows = await self._connections.fetch(statement("read_members"), org_id, after, limit)
        return [Member(**row) for row in rows]
