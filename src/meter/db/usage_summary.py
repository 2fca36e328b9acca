"""Usage of a period, added up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from meter.db.reading import reading
from meter.db.statements import statement

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    import asyncpg

Interval = Literal["hour", "day", "week", "month"]
Split = Literal["outcome", "service_type", "user_id"]

#: Services listed, those with most credits first; service types are free words, so their number has no bound.
SERVICES_MAX = 100
#: Users listed, and parts of a split time series.
TOP_MAX = 10


@dataclass(frozen=True, slots=True)
class UsageSums:
    """Sums over all entries, signed; an event is counted by its entry 0, as are quantity and USD cost.

    ``name`` is the outcome, service type, user or part of the series they belong to, ``detail`` the service
    name, ``bucket`` the beginning of a span of the series. ``credits`` are charged and overage credits, but
    of an outcome all its credits.
    """

    name: str | None
    detail: str | None
    bucket: datetime | None
    events: int
    quantity: Decimal
    credits: Decimal
    unfunded_credits: Decimal
    api_cost: Decimal


@dataclass(frozen=True, slots=True)
class UsageSummary:
    """The sums of a period from one snapshot of the ledger. Spans in which nothing happened are absent."""

    by_outcome: list[UsageSums]
    by_service: list[UsageSums]
    top_users: list[UsageSums]
    series: list[UsageSums]


@dataclass(frozen=True, slots=True)
class SummaryQuestion:
    """What to add up: a half-open period of ``occurred_at``, of one user or (None) of everyone."""

    org_id: str
    user_id: str | None
    start: datetime
    end: datetime
    interval: Interval
    split_by: Split | None


class UsageSummaries:
    """Sums over the ledger.

    Args:
        pool: connections acting as ``meter_reader``.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def summary(self, question: SummaryQuestion) -> UsageSummary:
        """Add up a period.

        Args:
            question: what to add up.

        Returns:
            At most `SERVICES_MAX` services and `TOP_MAX` users; a series split into at most `TOP_MAX` named
            parts and the rest.

        Raises:
            MeterError: those of ``meter.db.reading.reading``.
        """
        with reading():
            rows = await self._pool.fetch(
                statement("read_usage_summary"),
                question.org_id,
                question.user_id,
                question.start,
                question.end,
                question.interval,
                question.split_by,
                SERVICES_MAX,
                TOP_MAX,
            )
        parts: dict[str, list[UsageSums]] = {"outcome": [], "service": [], "user": [], "series": []}
        for row in rows:
            part, *sums = row.values()
            parts[part].append(UsageSums(*sums))
        return UsageSummary(parts["outcome"], parts["service"], parts["user"], parts["series"])
