"""Which sums make up a period: whatever the pieces, they count the period once and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.db.usage_cover import Cover, Piece, Span, cover
from meter.db.usage_history import EARLIEST, LATEST

LATER = datetime(2030, 1, 1, tzinfo=UTC)
SPANS: list[tuple[Span, ...]] = [("hour",), ("day",), ("hour", "day"), ("hour", "day", "week")]

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
moments = st.builds(
    lambda length: NEW_YEAR + length,
    st.timedeltas(timedelta(0), timedelta(days=60))
    | st.builds(lambda n: timedelta(hours=n), st.integers(0, 1_440)),
)


def counted(pieces: list[Piece], moment: datetime) -> int:
    return sum(piece.sign for piece in pieces if piece.start <= moment < piece.end)


def cuts(covered: Cover, *others: datetime) -> list[datetime]:
    pieces = covered.sums + covered.ledger
    return sorted({*others, *(piece.start for piece in pieces), *(piece.end for piece in pieces)})


@given(moments, moments, moments, st.sampled_from(SPANS))
def test_a_period_is_counted_once_and_nothing_else(
    one: datetime, other: datetime, now: datetime, spans: tuple[Span, ...]
) -> None:
    start, end = sorted((one, other))
    covered = cover(start, end + timedelta(microseconds=1), spans, now=now)
    for moment, _ in pairwise(cuts(covered, start, end + timedelta(microseconds=1))):
        assert counted(covered.sums + covered.ledger, moment) == (start <= moment <= end)
        assert counted(covered.sums, moment) == (covered.start <= moment < covered.end)


@given(moments, moments)
def test_at_most_half_an_hour_of_the_ledger_is_read_at_each_edge(one: datetime, other: datetime) -> None:
    start, end = sorted((one, other))
    covered = cover(start, end + timedelta(hours=1), ("hour", "day", "week"), now=LATER)
    assert all(piece.end - piece.start <= timedelta(minutes=30) for piece in covered.ledger)


def test_a_month_is_weeks_days_and_hours() -> None:
    covered = cover(
        datetime(2026, 1, 1, 22, 50, tzinfo=UTC),
        datetime(2026, 2, 1, tzinfo=UTC),
        ("hour", "day", "week"),
        now=LATER,
    )
    assert [(piece.span, piece.start.day, piece.end.day, piece.sign) for piece in covered.sums] == [
        ("week", 5, 2, 1),
        ("hour", 1, 2, 1),
        ("day", 2, 5, 1),
        ("day", 1, 2, -1),
    ]
    assert [(piece.start.minute, piece.end.minute, piece.sign) for piece in covered.ledger] == [(50, 0, 1)]


def test_what_is_yet_to_come_is_taken_away_rather_than_what_was_added() -> None:
    now = datetime(2026, 1, 7, 0, 20, tzinfo=UTC)
    covered = cover(datetime(2026, 1, 5, tzinfo=UTC), now, ("hour", "day", "week"), now=now)
    assert {piece.sign for piece in covered.ledger} == {-1}
    assert [piece.span for piece in covered.sums if piece.sign == 1] == ["week"]


@pytest.mark.parametrize("spans", SPANS)
def test_all_time_is_covered(spans: tuple[Span, ...]) -> None:
    covered = cover(EARLIEST, LATEST, spans, now=LATER)
    for moment, _ in pairwise(cuts(covered, EARLIEST, LATEST)):
        assert counted(covered.sums + covered.ledger, moment) == 1
