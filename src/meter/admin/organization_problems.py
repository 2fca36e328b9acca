"""Which problem each refusal of a change of organizations, members and subscriptions becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meter.api.problems import Kind
from meter.errors import (
    LastOwner,
    MemberAlready,
    NotPermitted,
    OrganizationTaken,
    SeatsTaken,
    StaleVersion,
    SubscriptionConflict,
    UnknownMember,
    UnknownSubscription,
)

if TYPE_CHECKING:
    from meter.errors import SettlementError

#: Refusals that say themselves all there is to say, to people who may know it.
OUTSPOKEN: dict[type[SettlementError], Kind] = {
    NotPermitted: Kind.FORBIDDEN,
    UnknownSubscription: Kind.NOT_FOUND,
    UnknownMember: Kind.NOT_FOUND,
    StaleVersion: Kind.PRECONDITION_FAILED,
    SubscriptionConflict: Kind.SUBSCRIPTION_CONFLICT,
    LastOwner: Kind.LAST_OWNER,
    SeatsTaken: Kind.SEATS_TAKEN,
    MemberAlready: Kind.MEMBER_ALREADY,
    OrganizationTaken: Kind.ORGANIZATION_TAKEN,
}
