"""Subscriptions of organizations: what the control plane writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from meter.db.statements import statement
from meter.db.writing import writing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal
    from uuid import UUID

    import asyncpg

    from meter.db.authorship import Author

Plan = Literal["platform", "byok", "hybrid"]
BillingCycle = Literal["monthly", "yearly", "custom"]


@dataclass(frozen=True, slots=True)
class Subscription:
    """What an organization subscribes to."""

    id: UUID
    org_id: str
    plan: str
    billing_cycle: str
    #: USD a month.
    monthly_price: Decimal
    status: str
    trial_ends_at: datetime | None
    current_period_start: datetime
    #: None: the period has no end of its own (a custom cycle).
    current_period_end: datetime | None
    #: When it ends, or ended; None: it goes on.
    cancel_at: datetime | None
    canceled_at: datetime | None
    #: Counts its changes.
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SubscriptionTerms:
    """How a subscription is to be; None keeps what is set.

    Attributes:
        plan: a new plan comes at its own price where none is given.
        billing_cycle: a new cycle begins a new period.
        monthly_price: USD a month, at most two decimals.
        paused: whether it rests; usage is then rated as without a subscription.
        withdraw_cancellation: take a cancellation back that has not taken effect.
    """

    plan: Plan | None = None
    billing_cycle: BillingCycle | None = None
    monthly_price: Decimal | None = None
    paused: bool | None = None
    withdraw_cancellation: bool = False


@dataclass(frozen=True, slots=True)
class ChangedSubscription:
    """A subscription after a change.

    Attributes:
        subscription: as it is then.
        changed: whether anything did.
        credit: USD of the old price for the rest of the period; None where the price did not change, or a
            cycle is custom.
        charge: USD of the new price for the rest of the period, or for the new one where the cycle changed.
    """

    subscription: Subscription
    changed: bool
    credit: Decimal | None
    charge: Decimal | None


class Subscriptions:
    """What organizations subscribe to; every change also decides how usage is rated from then on.

    Every method raises ``UnknownOrganization`` and ``InvalidArgument``, and ``NotPermitted`` where the
    author's member is no admin or owner of the organization.

    Args:
        pool: connections acting as ``meter_admin``.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def start(
        self,
        org_id: str,
        plan: Plan,
        *,
        billing_cycle: BillingCycle = "monthly",
        monthly_price: Decimal | None = None,
        trial_days: int | None = None,
        author: Author,
    ) -> Subscription:
        """Start the subscription of an organization.

        Args:
            org_id: the organization.
            plan: by which its usage is rated from now on.
            billing_cycle: how long a period is.
            monthly_price: USD a month, at most two decimals; the plan's where None.
            trial_days: 0 to 730, by a member's right to 90 and once; the first paid period begins after them.
            author: who does it.

        Returns:
            The subscription.

        Raises:
            OrganizationClosed: as it says.
            SubscriptionConflict: the organization has a live subscription, or had its trial.
        """
        with writing():
            row = await self._pool.fetchrow(
                statement("start_subscription"),
                org_id,
                plan,
                billing_cycle,
                monthly_price,
                trial_days,
                author.actor,
                author.request_id,
                author.member,
            )
        return Subscription(**row)

    async def subscriber(self, subscription_id: UUID) -> str | None:
        """Say whose a subscription is; None where there is none."""
        with writing():
            org_id: str | None = await self._pool.fetchval(statement("subscriber"), subscription_id)
        return org_id

    async def change(
        self,
        org_id: str,
        subscription_id: UUID,
        terms: SubscriptionTerms,
        *,
        versions: Sequence[int] | None = None,
        author: Author,
    ) -> ChangedSubscription:
        """Change a subscription; a change that changes nothing records nothing.

        Args:
            org_id: whose it is.
            subscription_id: which.
            terms: how it is to be.
            versions: of which one must be the present one; None changes any.
            author: who does it.

        Returns:
            The subscription, and what the change means in money.

        Raises:
            OrganizationClosed, UnknownSubscription: as they say.
            StaleVersion: it has another version by now.
            SubscriptionConflict: it is canceled; or paused and not resumed; or has a cancellation that would
                have to be withdrawn.
        """
        with writing():
            row = await self._pool.fetchrow(
                statement("change_subscription"),
                org_id,
                subscription_id,
                versions,
                terms.plan,
                terms.billing_cycle,
                terms.monthly_price,
                terms.paused,
                terms.withdraw_cancellation,
                author.actor,
                author.request_id,
                author.member,
            )
        found = dict(row)
        changed, credit, charge = found.pop("changed"), found.pop("credit"), found.pop("charge")
        return ChangedSubscription(Subscription(**found), changed, credit, charge)

    async def cancel(
        self,
        org_id: str,
        subscription_id: UUID,
        *,
        immediately: bool = False,
        versions: Sequence[int] | None = None,
        author: Author,
    ) -> Subscription:
        """Cancel a subscription; one that is canceled already stays as it is.

        Args:
            org_id: whose it is.
            subscription_id: which.
            immediately: at once instead of at the end of its period.
            versions: of which one must be the present one; None cancels any.
            author: who does it.

        Returns:
            The subscription.

        Raises:
            UnknownSubscription: as it says.
            StaleVersion: it has another version by now.
            SubscriptionConflict: its period has no end.
        """
        with writing():
            row = await self._pool.fetchrow(
                statement("cancel_subscription"),
                org_id,
                subscription_id,
                versions,
                immediately,
                author.actor,
                author.request_id,
                author.member,
            )
        return Subscription(**row)
