"""The spans of a time series: where they begin, and what of the summary falls into each."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from meter.db.usage_summary import SeriesPart

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meter.db.usage_summary import Interval

#: Spans of a series at most; a picture has no more points.
BUCKETS_MAX = 1_000

#: Beginnings of spans whose text is kept: those of a year by hours, 4 MB.
SPANS_REMEMBERED = 10_000

_HOURS = {"hour": 1, "day": 24, "week": 7 * 24}


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


def filled(series: Sequence[SeriesPart], starts: Sequence[datetime]) -> list[dict[str, object]]:
    """Give every span of every part of a series its sums, zeros where nothing happened.

    Args:
        series: the sums of the spans in which something happened.
        starts: where all spans begin.

    Returns:
        The parts in the order they come in, their points as JSON; one without a name where there is nothing
        at all.
    """
    spans = [_span(start) for start in starts]
    places = {second: place for place, (second, _) in enumerate(spans)}
    # Points are many and all alike, so that their JSON is put together from text; nothing in it needs quotes.
    begun = [begin for _, begin in spans]
    nothing = [f'{begin}0,"credits":"0","unfunded_credits":"0"}}' for begin in begun]
    return [
        {"group": part.name, "points": msgspec.Raw(_points(part, places, begun, nothing))}
        for part in series or (SeriesPart(None, [], [], [], []),)
    ]


@lru_cache(maxsize=SPANS_REMEMBERED)
def _span(start: datetime) -> tuple[str, str]:
    """Write the seconds since 1970, and how a point begins."""
    text = start.isoformat().replace("+00:00", "Z")
    return str(int(start.timestamp())), f'{{"start":"{text}","events":'


def _points(part: SeriesPart, places: Mapping[str, int], begun: Sequence[str], nothing: list[str]) -> bytes:
    points = nothing.copy()
    for start, events, credits, unfunded in zip(
        part.starts, part.events, part.credits, part.unfunded_credits, strict=True
    ):
        place = places[start]
        points[place] = f'{begun[place]}{events},"credits":"{credits}","unfunded_credits":"{unfunded}"}}'
    return f"[{','.join(points)}]".encode()


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
    length = None if interval == "month" else timedelta(hours=_HOURS[interval])
    try:
        while True:
            yield bucket
            bucket = _next_month(bucket) if length is None else bucket + length
    except (OverflowError, ValueError):
        return  # the year 10000


def _next_month(month: datetime) -> datetime:
    return (month + timedelta(days=31)).replace(day=1)
