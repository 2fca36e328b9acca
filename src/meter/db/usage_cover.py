"""Which sums make up a period: whole weeks, days and hours, and the ledger itself at the edges."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Span = Literal["hour", "day", "week"]

_LENGTH: dict[Span, timedelta] = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
}
#: A Monday.
_ORIGIN = datetime(2000, 1, 3, tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of time to be added (sign 1) or taken away (-1).

    ``span`` says which sums have it; None: no sums do, it is read from the ledger.
    """

    span: Span | None
    start: datetime
    end: datetime
    sign: int


@dataclass(frozen=True, slots=True)
class Cover:
    """Pieces that come to a period; ``start`` and ``end`` bound what the sums among them cover in all."""

    sums: list[Piece]
    ledger: list[Piece]
    start: datetime
    end: datetime


def cover(start: datetime, end: datetime, spans: Sequence[Span], *, now: datetime) -> Cover:
    """Cover a period with few pieces.

    Each edge goes to the nearest full hour, day and so on, inwards or outwards: what is outside is taken away
    again, so that at most half a span of the finer kind has to be looked at.

    Args:
        start: the period's beginning, included.
        end: its end, excluded.
        spans: the kinds of sums there are, the shortest first, each a multiple of the one before.
        now: the present moment; nearly nothing is recorded past it, so there it is cheapest to take away.

    Returns:
        The pieces; added up they count everything in the period once and everything else not at all.
    """
    cuts: list[tuple[Span | None, datetime, datetime]] = [(None, start, end)]
    for span in spans:
        _, inner_start, inner_end = cuts[-1]
        outer_start, outer_end = _nearest(inner_start, span, now), _nearest(inner_end, span, now)
        if outer_start == outer_end:
            break
        cuts.append((span, outer_start, outer_end))
    pieces = [Piece(*cuts[-1], 1)]
    for (finer, inner_start, inner_end), (_, outer_start, outer_end) in pairwise(cuts):
        pieces += _between(finer, inner_start, outer_start) + _between(finer, outer_end, inner_end)
    _, summed_start, summed_end = cuts[1] if len(cuts) > 1 else (None, start, start)
    return Cover(
        [piece for piece in pieces if piece.span is not None],
        [piece for piece in pieces if piece.span is None],
        summed_start,
        summed_end,
    )


def _between(span: Span | None, first: datetime, second: datetime) -> list[Piece]:
    """Add what lies between two moments, or take it away where the second is before the first."""
    if first == second:
        return []
    return [Piece(span, first, second, 1) if first < second else Piece(span, second, first, -1)]


def _nearest(moment: datetime, span: Span, now: datetime) -> datetime:
    """Find the beginning of a span from which there is the least to look at."""
    since = (moment - _ORIGIN) % _LENGTH[span]
    until = _LENGTH[span] - since
    busy = min(until, max(now - moment, timedelta(0)))
    if since and busy <= since and moment <= _LAST - until:
        return moment + until
    return moment - since
