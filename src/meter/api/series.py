"""The spans of a time series: where they begin, and what of the summary falls into each."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meter.db.usage_summary import Interval, UsageSums

#: Spans of a series at most; a picture has no more points.
BUCKETS_MAX = 1_000

_HOURS = {"hour": 1, "day": 24, "week": 7 * 24}
_NOTHING = {"events": 0, "credits": Decimal(0), "unfunded_credits": Decimal(0)}


def bucket_starts(start: datetime, end: datetime, interval: Interval) -> list[datetime] | None:
    """List where the spans of a period begin, in UTC; the first may begin before the period does.

    Args:
        start: the period's beginning, included.
        end: its end, excluded.
        interval: the length of a span; weeks begin on Monday.

    Returns:
        The beginnings; None where there would be more than `BUCKETS_MAX`.
    """
    starts: list[datetime] = []
    for bucket in _buckets_from(_truncated(start, interval), interval):
        if bucket >= end:
            break
        if len(starts) == BUCKETS_MAX:
            return None
        starts.append(bucket)
    return starts


def filled(series: Sequence[UsageSums], starts: Sequence[datetime]) -> list[dict[str, object]]:
    """Give every span of every part of a series its sums, zeros where nothing happened.

    Args:
        series: the sums of the spans in which something happened; ``name`` is the part.
        starts: where all spans begin.

    Returns:
        The parts in the order they come in; one without a name where there is nothing at all.
    """
    parts: dict[str | None, dict[datetime, UsageSums]] = defaultdict(dict)
    for sums in series:
        if sums.bucket is not None:
            parts[sums.name][sums.bucket] = sums
    return [
        {"group": name, "points": [_point(start, buckets.get(start)) for start in starts]}
        for name, buckets in (parts or {None: {}}).items()
    ]


def _point(start: datetime, sums: UsageSums | None) -> dict[str, object]:
    if sums is None:
        return {"start": start, **_NOTHING}
    return {
        "start": start,
        "events": sums.events,
        "credits": sums.credits,
        "unfunded_credits": sums.unfunded_credits,
    }


def _truncated(moment: datetime, interval: Interval) -> datetime:
    hour = moment.replace(minute=0, second=0, microsecond=0)
    if interval == "hour":
        return hour
    day = hour.replace(hour=0)
    if interval == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if interval == "month" else day


def _buckets_from(first: datetime, interval: Interval) -> Iterator[datetime]:
    bucket = first
    try:
        while True:
            yield bucket
            bucket = (
                _next_month(bucket) if interval == "month" else bucket + timedelta(hours=_HOURS[interval])
            )
    except (OverflowError, ValueError):
        return  # the year 10000


def _next_month(month: datetime) -> datetime:
    return (month + timedelta(days=31)).replace(day=1)
