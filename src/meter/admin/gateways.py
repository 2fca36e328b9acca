"""The database as the routes that write know it, and what a setting lets them do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from meter.db.charges import Charges
from meter.db.keyed_requests import KeyedRequests
from meter.db.members import Members
from meter.db.organizations import Organizations
from meter.db.subscriptions import Subscriptions

if TYPE_CHECKING:
    import asyncpg
    from starlette.requests import Request


@dataclass(frozen=True, slots=True)
class Writes:
    """What changes things, as ``meter_admin``."""

    requests: KeyedRequests
    charges: Charges
    subscriptions: Subscriptions
    organizations: Organizations
    members: Members
    #: Whether admins of an organization may add what it has paid for.
    admins_may_purchase: bool = False
    #: Whether every user may make an organization, and not only system admins.
    anyone_creates_organizations: bool = False

    @classmethod
    def through(
        cls,
        pool: asyncpg.Pool,
        *,
        admins_may_purchase: bool = False,
        anyone_creates_organizations: bool = False,
    ) -> Writes:
        """Make the gateways.

        Args:
            pool: connections acting as ``meter_admin``.
            admins_may_purchase: whether admins of an organization may add purchases.
            anyone_creates_organizations: whether every user may make an organization.
        """
        return cls(
            KeyedRequests(pool),
            Charges(pool),
            Subscriptions(pool),
            Organizations(pool),
            Members(pool),
            admins_may_purchase,
            anyone_creates_organizations,
        )


def writes_of(request: Request) -> Writes:
    """Return the gateways that the app was built with."""
    return cast("Writes", request.app.state.writes)
