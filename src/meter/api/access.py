"""Who may do what, as dependencies of routes: run before query and body are looked at.

The decisions themselves are in ``meter.api.admission``, for organizations that stand in a body.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Self, cast

from fastapi import Depends
from starlette.requests import Request

from meter.api.admission import (
    Access,
    admit_administrator,
    admit_member,
    admit_owner,
    admit_service,
    known_org_id,
    only_services,
    require_scope,
    require_system_administrator,
)
from meter.api.callers import Scope, Service, User, caller_of
from meter.api.databases import ReadDatabases
from meter.api.parameters import OrgId, UserId
from meter.api.problems import Kind, Problem
from meter.db.balances import Balances
from meter.db.billing import Billing
from meter.db.membership import Membership
from meter.db.subscription_reads import SubscriptionReads
from meter.db.usage_history import UsageHistory
from meter.db.usage_summary import UsageSummaries


@dataclass(frozen=True, slots=True)
class Gateways:
    """The database as the routes know it."""

    balances: Balances
    #: Of the primary, whatever the others read from: who was removed is out at once.
    membership: Membership
    history: UsageHistory
    summaries: UsageSummaries
    billing: Billing
    subscriptions: SubscriptionReads
    #: Whether all of them read from the primary, so that one statement may check membership and read.
    of_primary: bool = True

    @classmethod
    def of(cls, databases: ReadDatabases) -> Self:
        """Make the gateways of what is read.

        Args:
            databases: the primary, and a replica or the primary again.
        """
        replica = databases.replica
        return cls(
            balances=Balances(replica),
            membership=Membership(databases.primary),
            history=UsageHistory(replica),
            summaries=UsageSummaries(replica),
            billing=Billing(replica),
            subscriptions=SubscriptionReads(replica),
            of_primary=replica is databases.primary,
        )


def gateways_of(request: Request) -> Gateways:
    """Return the gateways that the app was built with."""
    return cast("Gateways", request.app.state.gateways)


async def member_access(request: Request, org_id: OrgId) -> Access:
    """Let members and system admins through, and services that may read."""
    return await admit_member(caller_of(request), org_id, gateways_of(request).membership)


async def administrator_access(request: Request, org_id: OrgId) -> Access:
    """Let the organization's admins and owners and system admins through."""
    return await admit_administrator(caller_of(request), org_id, gateways_of(request).membership)


async def administrator_read_access(request: Request, org_id: OrgId) -> Access:
    """The same, and services that may read."""
    membership = gateways_of(request).membership
    return await admit_administrator(caller_of(request), org_id, membership, Scope.READ)


async def owner_access(request: Request, org_id: OrgId) -> Access:
    """Let the organization's owners and system admins through."""
    return await admit_owner(caller_of(request), org_id, gateways_of(request).membership)


def system_administrator(request: Request) -> User:
    """Let system admins through."""
    return require_system_administrator(caller_of(request))


def person(request: Request) -> User:
    """Let people through, whoever they are.

    Raises:
        Problem: forbidden for services.
    """
    caller = caller_of(request)
    if isinstance(caller, Service):
        require_scope(caller, None)
    return cast("User", caller)


async def administrator_somewhere(request: Request) -> User:
    """Let through who administers any organization: for routes whose organization stands in the body.

    Raises:
        Problem: forbidden for everyone who may do it for no organization at all.
    """
    user = person(request)
    if not user.system_admin and not await gateways_of(request).membership.administers_any(user.user_id):
        raise Problem(Kind.FORBIDDEN, "only admins and owners of an organization may do this")
    return user


def service_access(scope: Scope) -> Callable[[Request, OrgId], Awaitable[Access]]:
    """Make a dependency that lets services of the organization in the path through.

    Args:
        scope: what the key must be for.
    """

    async def admitted(request: Request, org_id: OrgId) -> Access:
        return await admit_service(caller_of(request), org_id, gateways_of(request).membership, scope)

    return admitted


def service_somewhere(scope: Scope) -> Callable[[Request], Service]:
    """Make a dependency that lets services with a scope through, of whatever organization.

    For routes whose organization stands in the body; hand it to ``admit_service`` once that is read.

    Args:
        scope: what the key must be for.
    """

    def admitted(request: Request) -> Service:
        caller = caller_of(request)
        if not isinstance(caller, Service):
            raise only_services()
        require_scope(caller, scope)
        return caller

    return admitted


def member_or_own_access(scope: Scope) -> Callable[[Request, OrgId], Awaitable[Access]]:
    """Make a dependency that lets members through who ask about themselves, or about everyone where they may.

    Args:
        scope: what a service's key must be for.
    """

    async def admitted(request: Request, org_id: OrgId) -> Access:
        access = await admit_member(caller_of(request), org_id, gateways_of(request).membership, scope)
        asked_for = request.query_params.get("user_id", access.user_id)
        if asked_for != access.user_id and not access.sees_everyone:
            raise Problem(Kind.FORBIDDEN, "members see only their own usage")
        return access

    return admitted


def own_user_id(request: Request, user_id: UserId) -> str:
    """Let a user ask about the user's own things, and a system admin about anyone's.

    Raises:
        Problem: forbidden, the same whether there is such a user or not.
    """
    caller = person(request)
    if user_id != caller.user_id and not caller.system_admin:
        raise Problem(Kind.FORBIDDEN, "users see only their own credits")
    return user_id


async def pool_org_id(request: Request, org_id: OrgId) -> str:
    """Leave the check of membership to the statement that reads, where that reads from the primary.

    Returns:
        The organization's id, fit for the database.

    Raises:
        Problem: not found or forbidden, where it is decided here already.
    """
    caller, gateways = caller_of(request), gateways_of(request)
    if not isinstance(caller, User) or not gateways.of_primary:
        await admit_member(caller, org_id, gateways.membership)
    return known_org_id(org_id)


own_reading_access = member_or_own_access(Scope.READ)
own_checking_access = member_or_own_access(Scope.CHECK)

#: Members, system admins, keys that may read.
Member = Annotated[Access, Depends(member_access)]
#: Admins and owners of the organization, system admins; no keys. For writes.
Administrator = Annotated[Access, Depends(administrator_access)]
#: The same and keys that may read. For reads.
AdministratorOrReader = Annotated[Access, Depends(administrator_read_access)]
#: Owners of the organization, system admins; no keys.
Owner = Annotated[Access, Depends(owner_access)]
SystemAdministrator = Annotated[User, Depends(system_administrator)]
#: Any user; no keys.
Person = Annotated[User, Depends(person)]
#: Whoever administers any organization, system admins; the organization stands in the body.
AdministratorSomewhere = Annotated[User, Depends(administrator_somewhere)]
#: Members who ask about themselves, admins about anyone, keys that may read.
MemberOrOwn = Annotated[Access, Depends(own_reading_access)]
#: The same for whether a charge would be taken: keys that may check.
MemberOrOwnOrChecking = Annotated[Access, Depends(own_checking_access)]
OwnUserId = Annotated[str, Depends(own_user_id)]
