"""Who may change subscriptions, organizations and members."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends
from starlette.requests import Request

from meter.admin.gateways import writes_of
from meter.api.access import gateways_of
from meter.api.admission import Access, admit_administrator, require_system_administrator
from meter.api.callers import User, actor_of, caller_of, request_id_of
from meter.api.parameters import SubscriptionId
from meter.api.subscription_ids import admitted_to_subscription, known_subscription_id, no_subscription
from meter.db.authorship import Author


@dataclass(frozen=True, slots=True)
class Changeable:
    """A subscription that the caller may change."""

    access: Access
    subscription_id: UUID


async def may_change_subscription(request: Request, subscription_id: SubscriptionId) -> Changeable:
    """Let admins and owners of its organization and system admins through.

    Raises:
        Problem: not found, the same for an unknown subscription and for one of an organization that the
            caller is no member of; forbidden for members.
    """
    known_id = known_subscription_id(subscription_id)
    org_id = await writes_of(request).subscriptions.subscriber(known_id)
    if org_id is None:
        raise no_subscription()
    membership = gateways_of(request).membership
    access = await admitted_to_subscription(admit_administrator(caller_of(request), org_id, membership))
    return Changeable(access, known_id)


def may_create_organization(request: Request) -> User:
    """Let system admins through, and every user where a setting says so.

    Raises:
        Problem: forbidden.
    """
    caller = caller_of(request)
    if isinstance(caller, User) and writes_of(request).anyone_creates_organizations:
        return caller
    return require_system_administrator(caller)


def is_system_admin(request: Request) -> bool:
    """Say whether a request comes from a system admin."""
    caller = caller_of(request)
    return isinstance(caller, User) and caller.system_admin


def member_author(request: Request) -> Author:
    """Say who makes a request, and whose role must still allow it when it is carried out."""
    caller = caller_of(request)
    actor = actor_of(caller)
    return Author(actor, request_id_of(request), None if is_system_admin(request) else actor)


ChangeableSubscription = Annotated[Changeable, Depends(may_change_subscription)]
MayCreateOrganization = Annotated[User, Depends(may_create_organization)]
