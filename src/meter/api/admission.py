"""Who may do what in an organization, as decisions; ``meter.api.access`` makes dependencies of them.

Every decision answers 404 before 403: an organization that is not the caller's and one that does not exist
look the same, whoever asks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meter.api.callers import Caller, Scope, Service, User
from meter.api.problems import Kind, Problem, not_found
from meter.db.reader import read_about
from meter.events.fields import ORG_ID_MAX_CHARS, ORG_ID_PATTERN

if TYPE_CHECKING:
    from meter.db.membership import Membership

_ORG_ID = re.compile(ORG_ID_PATTERN.removesuffix("$"))
_ADMIN_ROLES = ("admin", "owner")


@dataclass(frozen=True, slots=True)
class Access:
    """What a caller may see of an organization that the caller belongs to."""

    org_id: str
    caller: Caller
    #: Everyone's usage and allocations, not only the caller's own.
    sees_everyone: bool
    #: The user's in the organization; None for services and for system admins who are no members.
    role: str | None = None

    @property
    def user_id(self) -> str | None:
        """Whom "the caller's own" means; None for a service, which is nobody."""
        return self.caller.user_id if isinstance(self.caller, User) else None


def known_org_id(org_id: str) -> str:
    """Hold an id to the form that organizations' ids have, so that nothing else reaches the database.

    Raises:
        Problem: not found, as for an organization that is not there.
    """
    if len(org_id) > ORG_ID_MAX_CHARS or not _ORG_ID.fullmatch(org_id):
        raise not_found()
    return org_id


async def admit_member(
    caller: Caller, org_id: str, membership: Membership, scope: Scope | None = Scope.READ
) -> Access:
    """Let members and system admins through, and services whose key has the scope.

    Args:
        caller: who asks.
        org_id: the organization, from wherever in the request.
        membership: who belongs where.
        scope: what a key must be for; None: no service may.

    Raises:
        Problem: not found, the same for an unknown organization and for one that is not the caller's;
            forbidden for a key without the scope.
    """
    if isinstance(caller, Service):
        return await admit_service(caller, org_id, membership, scope)
    standing = await membership.standing(known_org_id(org_id), caller.user_id)
    if standing is None or (standing.role is None and not caller.system_admin):
        raise not_found()
    read_about(org_id)
    sees_everyone = caller.system_admin or standing.role in _ADMIN_ROLES
    return Access(org_id, caller, sees_everyone, standing.role)


async def admit_administrator(
    caller: Caller, org_id: str, membership: Membership, scope: Scope | None = None
) -> Access:
    """Let admins and owners of the organization and system admins through, and services with the scope.

    Args:
        caller: who asks.
        org_id: the organization.
        membership: who belongs where.
        scope: what a key must be for; None: no service may.

    Raises:
        Problem: not found; forbidden for members.
    """
    access = await admit_member(caller, org_id, membership, scope)
    if not access.sees_everyone:
        raise Problem(Kind.FORBIDDEN, "only admins and owners of the organization may do this")
    return access


async def admit_owner(caller: Caller, org_id: str, membership: Membership) -> Access:
    """Let owners of the organization and system admins through.

    Raises:
        Problem: not found; forbidden for everyone else.
    """
    access = await admit_member(caller, org_id, membership, scope=None)
    if access.role != "owner" and not (isinstance(caller, User) and caller.system_admin):
        raise Problem(Kind.FORBIDDEN, "only owners of the organization may do this")
    return access


async def admit_service(caller: Caller, org_id: str, membership: Membership, scope: Scope | None) -> Access:
    """Let services through whose key belongs to the organization, or to all, and has the scope.

    Raises:
        Problem: not found for a key of another organization, and where there is no such organization;
            forbidden for users and for a key without the scope.
    """
    if not isinstance(caller, Service):
        raise only_services()
    if caller.org_id not in (None, known_org_id(org_id)):
        raise not_found()
    # A key of one organization goes with it; a key of all may name one that is not there.
    if caller.org_id is None and await membership.standing(org_id, "") is None:
        raise not_found()
    require_scope(caller, scope)
    read_about(org_id)
    return Access(org_id, caller, sees_everyone=True)


def require_scope(caller: Service, scope: Scope | None) -> None:
    """Refuse a key that is not for this.

    Raises:
        Problem: forbidden.
    """
    if scope is None:
        raise Problem(Kind.FORBIDDEN, "this is for people; an API key cannot do it")
    if scope not in caller.scopes:
        raise Problem(Kind.FORBIDDEN, f"the API key lacks the scope {scope}")


def require_system_administrator(caller: Caller) -> User:
    """Refuse everyone but system admins.

    Raises:
        Problem: forbidden.
    """
    if not isinstance(caller, User) or not caller.system_admin:
        raise Problem(Kind.FORBIDDEN, "only system admins may do this")
    return caller


def only_services() -> Problem:
    """Make the answer to people at what is for services."""
    return Problem(Kind.FORBIDDEN, "this is for services with an API key")
