"""Prices and plans as the worker rates with them, cached until the database says that they changed."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from typing import TYPE_CHECKING

from meter.db.statements import statement
from meter.rating import DEFAULT_PLAN, Plan, PlanName, Price, PriceBook

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import asyncpg

    from meter.events import Usage

#: Organizations whose plans are kept in memory: some 20 MB at most.
PLANS_MAX_ORGANIZATIONS = 50_000

#: The plans of an organization: since when each holds, ascending, and what it is.
_Plans = tuple[tuple["datetime", ...], tuple[Plan, ...]]
_NO_PLANS: _Plans = ((), ())


class RatingData:
    """The price book and the plans of one rating epoch.

    Attributes:
        epoch: what ``settle_usage`` compares with: data of another epoch is stale.
        prices: the price book in force.
    """

    def __init__(self, epoch: int, prices: PriceBook, plans: dict[PlanName, Plan]) -> None:
        self.epoch = epoch
        self.prices = prices
        self._plans = plans
        self._histories: OrderedDict[str, _Plans] = OrderedDict()

    @classmethod
    async def load(cls, connection: asyncpg.Connection) -> RatingData:
        """Read the price book and the plans as they are now.

        Args:
            connection: acting as ``meter_worker``, not in a transaction.

        Returns:
            The data, all of one moment.
        """
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            epoch = await connection.fetchval(statement("rating_epoch"))
            prices = [Price(**row) for row in await connection.fetch(statement("service_prices"))]
            plans = [
                Plan(PlanName(row["plan"]), row["cost_markup"])
                for row in await connection.fetch(statement("subscription_plans"))
            ]
        return cls(epoch, PriceBook(prices), {plan.name: plan for plan in plans})

    async def learn_plans(self, connection: asyncpg.Connection, org_ids: Iterable[str]) -> None:
        """Make sure that the plans of some organizations are known.

        Args:
            connection: acting as ``meter_worker``.
            org_ids: organizations of the events that are to be rated next.
        """
        wanted = set(org_ids)
        for org_id in wanted & self._histories.keys():
            self._histories.move_to_end(org_id)
        missing = wanted - self._histories.keys()
        if not missing:
            return
        found: dict[str, list[tuple[datetime, Plan]]] = {}
        for row in await connection.fetch(statement("plans_of_organizations"), list(missing)):
            plan = DEFAULT_PLAN if row["plan"] is None else self._plans[PlanName(row["plan"])]
            found.setdefault(row["org_id"], []).append((row["valid_from"], plan))
        for org_id in missing:
            history = found.get(org_id)
            self._histories[org_id] = _NO_PLANS if history is None else (tuple(zip(*history, strict=True)))  # type: ignore[assignment]
        while len(self._histories) > max(PLANS_MAX_ORGANIZATIONS, len(wanted)):
            self._histories.popitem(last=False)

    def plan(self, event: Usage) -> Plan:
        """Find the plan in force when an event happened.

        Args:
            event: of an organization whose plans were learnt.

        Returns:
            The plan; the default where no subscription was live then.
        """
        since, plans = self._histories[event.org_id]
        if not since:
            return DEFAULT_PLAN
        position = bisect_right(since, event.occurred_at)
        return plans[position - 1] if position else DEFAULT_PLAN
