"""Who may see what. Runs before the query is read: a stranger learns nothing from how it is refused."""

import re
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import Request

from meter.api.authentication import caller_of
from meter.api.parameters import OrgId, UserId
from meter.api.problems import Kind, Problem, not_found
from meter.api.tokens import Caller
from meter.db.balances import Balances
from meter.db.membership import Membership
from meter.db.reader import read_about
from meter.db.usage_history import UsageHistory
from meter.db.usage_summary import UsageSummaries
from meter.events.fields import ORG_ID_MAX_CHARS, ORG_ID_PATTERN

_ORG_ID = re.compile(ORG_ID_PATTERN.removesuffix("$"))
_ADMIN_ROLES = ("admin", "owner")


@dataclass(frozen=True, slots=True)
class Gateways:
    """The database as the routes know it."""

    balances: Balances
    membership: Membership
    history: UsageHistory
    summaries: UsageSummaries


@dataclass(frozen=True, slots=True)
class Access:
    """What a caller may see of an organization that the caller belongs to."""

    org_id: str
    caller: Caller
    #: Everyone's usage and allocations, not only the caller's own.
    sees_everyone: bool


def gateways_of(request: Request) -> Gateways:
    """Return the gateways that the app was built with."""
    return cast("Gateways", request.app.state.gateways)


def known_org_id(org_id: str) -> str:
    """Hold an id to the form that organizations' ids have, so that nothing else reaches the database.

    Raises:
        Problem: not found, as for an organization that is not there.
    """
    if len(org_id) > ORG_ID_MAX_CHARS or not _ORG_ID.fullmatch(org_id):
        raise not_found()
    return org_id


async def member_access(request: Request, org_id: OrgId) -> Access:
    """Let members and system admins through.

    Raises:
        Problem: not found, the same for an unknown organization and for one the caller is no member of.
    """
    caller = caller_of(request)
    standing = await gateways_of(request).membership.standing(known_org_id(org_id), caller.user_id)
    if standing is None or (standing.role is None and not caller.system_admin):
        raise not_found()
    read_about(org_id)
    return Access(org_id, caller, sees_everyone=caller.system_admin or standing.role in _ADMIN_ROLES)


Member = Annotated[Access, Depends(member_access)]


async def administrator_access(access: Member) -> Access:
    """Let the organization's admins and owners and system admins through.

    Raises:
        Problem: forbidden for members.
    """
    if not access.sees_everyone:
        raise Problem(Kind.FORBIDDEN, "only admins and owners of the organization may see this")
    return access


Administrator = Annotated[Access, Depends(administrator_access)]


async def member_or_own_access(access: Member, request: Request) -> Access:
    """Let members through who ask about themselves, or about everyone where they may.

    Raises:
        Problem: forbidden for a member who asks about another user.
    """
    asked_for = request.query_params.get("user_id", access.caller.user_id)
    if asked_for != access.caller.user_id and not access.sees_everyone:
        raise Problem(Kind.FORBIDDEN, "members see only their own usage")
    return access


MemberOrOwn = Annotated[Access, Depends(member_or_own_access)]


async def own_user_id(request: Request, user_id: UserId) -> str:
    """Let a user ask about the user's own things, and a system admin about anyone's.

    Raises:
        Problem: forbidden, the same whether there is such a user or not.
    """
    caller = caller_of(request)
    if user_id != caller.user_id and not caller.system_admin:
        raise Problem(Kind.FORBIDDEN, "users see only their own credits")
    return user_id


OwnUserId = Annotated[str, Depends(own_user_id)]
