"""Usage of a period, added up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from meter.db.reading import reading
from meter.db.statements import statement
from meter.db.usage_cover import Piece, Span, cover
from meter.db.usage_history import EARLIEST

if TYPE_CHECKING:
    from decimal import Decimal

    import asyncpg

    from meter.db.reader import ReaderConnections

Interval = Literal["hour", "day", "week", "month"]
Split = Literal["outcome", "service_type", "user_id"]

#: Services listed, those with most credits first; service types are free words, so their number has no bound.
SERVICES_MAX = 100
#: Users listed, and parts of a split time series.
TOP_MAX = 10

#: Up to so many users a series of ten of them and the rest is made of the sums of all. Of more, the ten are
#: looked up and everyone's sums read beside. CPU time of a month by hours: of 12 users 16 and 27 ms, of 25 20
#: and 27, of 50 76 and 28.
FEW_USERS = 25

#: Columns after the name that are sums; those after them are of the series.
_SUMS_COLUMNS = 6

#: Sums that the spans of a time series are put together from; a week lies in two months.
_SERIES_SPANS: dict[Interval, tuple[Span, ...]] = {
    "hour": ("hour",),
    "day": ("hour", "day"),
    "week": ("hour", "day", "week"),
    "month": ("hour", "day"),
}


@dataclass(frozen=True, slots=True)
class UsageSums:
    """Sums over all entries, signed; an event is counted by its entry 0, as are quantity and USD cost.

    ``name`` is the outcome, service type or user they belong to, ``detail`` the service name. ``credits`` are
    charged and overage credits, but of an outcome all its credits. ``quantity`` and ``api_cost`` are None for
    users.
    """

    name: str
    detail: str | None
    events: int
    quantity: Decimal | None
    credits: Decimal
    unfunded_credits: Decimal
    api_cost: Decimal | None


@dataclass(frozen=True, slots=True)
class SeriesPart:
    """A part of the time series; None: of all that have no part of their own.

    ``starts`` are the beginnings of the spans in which something happened, in seconds since 1970 and in any
    order; the other lists have the sums of each. There may be ten thousand, so that all is text in plain
    notation: nobody calculates with it.
    """

    name: str | None
    starts: list[str]
    events: list[str]
    credits: list[str]
    unfunded_credits: list[str]


@dataclass(frozen=True, slots=True)
class UsageSummary:
    """The sums of a period from one snapshot of the ledger."""

    by_outcome: list[UsageSums]
    by_service: list[UsageSums]
    top_users: list[UsageSums]
    series: list[SeriesPart]


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
    """Sums over the ledger: read from what is summed already and what is not yet, in one snapshot.

    Args:
        pool: connections acting as ``meter_reader``.
    """

    def __init__(self, pool: ReaderConnections) -> None:
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
        sums: dict[str, list[UsageSums]] = {"complete": [], "outcome": [], "service": [], "user": []}
        series: list[SeriesPart] = []
        for part, name, *values in await self._rows(question):
            if part == "series":
                series.append(SeriesPart(name, *(column.split(" ") for column in values[_SUMS_COLUMNS:])))
            else:
                sums[part].append(UsageSums(name, *values[:_SUMS_COLUMNS]))
        series.sort(key=lambda part: (part.name is None, part.name))
        return UsageSummary(sums["outcome"], sums["service"], sums["user"], series)

    async def _rows(self, question: SummaryQuestion) -> list[asyncpg.Record]:
        with reading():
            rows: list[asyncpg.Record] = await self._summed(question)
            if not rows:
                # Few entries, or not summed yet.
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
        return rows

    async def _summed(self, question: SummaryQuestion) -> list[asyncpg.Record]:
        """Read what is summed already; no rows where the sums cannot tell."""
        now = datetime.now(UTC)
        if question.user_id is None:
            covered = cover(question.start, question.end, ("hour", "day", "week"), now=now)
            series = cover(question.start, question.end, _SERIES_SPANS[question.interval], now=now)
            return await self._by_key(
                "read_rolled_up_usage",
                question.org_id,
                [piece.span for piece in covered.sums],
                *_columns(covered.sums),
                [piece.span for piece in series.sums],
                *_columns(series.sums),
                *_edges(covered.ledger),
                covered.start,
                covered.end,
                question.interval,
                question.split_by,
                SERVICES_MAX,
                TOP_MAX,
                FEW_USERS,
            )
        spans: tuple[Span, ...] = ("hour",) if question.interval == "hour" else ("hour", "day")
        covered = cover(question.start, question.end, spans, now=now)
        return await self._by_key(
            "read_rolled_up_usage_of_user",
            question.org_id,
            question.user_id,
            [piece.span for piece in covered.sums],
            *_columns(covered.sums),
            *_edges(covered.ledger),
            covered.start,
            covered.end,
            question.interval,
            question.split_by,
            SERVICES_MAX,
            TOP_MAX,
        )

    async def _by_key(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        async with self._pool.transaction(settings="read_by_key_for") as connection:
            rows: list[asyncpg.Record] = await connection.fetch(statement(name), *arguments)
        return rows


def _columns(pieces: list[Piece]) -> tuple[list[datetime], list[datetime], list[int]]:
    return (
        [piece.start for piece in pieces],
        [piece.end for piece in pieces],
        [piece.sign for piece in pieces],
    )


def _edges(pieces: list[Piece]) -> list[datetime | int]:
    """Both edges, an empty one where there is none."""
    empty = Piece(None, EARLIEST, EARLIEST, 1)
    both = (*pieces, empty, empty)[:2]
    return [value for piece in both for value in (piece.start, piece.end, piece.sign)]
