"""What goes out: exact amounts, formats by the Accept header, spans of a series."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
import pytest

from meter.api.bodies import csv_header, csv_rows, plain
from meter.api.exports import wanted_format
from meter.api.series import BUCKETS_MAX, bucket_starts, filled
from meter.db.usage_history import UsageEntry
from meter.db.usage_summary import SeriesPart

if TYPE_CHECKING:
    from meter.db.usage_summary import Interval


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0E-9", "0"),
        ("1E-9", "0.000000001"),
        ("12.500000", "12.5"),
        ("-5.000000", "-5"),
        ("1E+30", "1" + "0" * 30),
    ],
)
def test_amounts_are_plain_strings_at_any_depth(amount: str, text: str) -> None:
    assert plain({"a": [(Decimal(amount),)]}) == {"a": [[text]]}


def test_a_spreadsheet_runs_no_text_and_reads_a_negative_amount_as_one() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    amounts = ("-2", "-1.5", "charged", None, "platform", "-0.1", "-0.2", "-0.0015")
    entry = UsageEntry(
        UUID(int=7),
        *(1, "-id", "@source", "=user", "+service", "-1.5"),
        *amounts,
        *(None, None, "-request", msgspec.Raw(b"{}"), moment, moment),
    )
    (row,) = csv.DictReader(io.StringIO((csv_header() + csv_rows([entry])).decode(), newline=""))
    assert [
        row[name] for name in ("event_id", "source", "user_id", "service_type", "service_name", "request_id")
    ] == [
        *("'-id", "'@source", "'=user", "'+service", "'-1.5", "'-request"),
    ]
    assert [
        row[name] for name in ("quantity", "credits_used", "api_cost", "markup_applied", "total_cost")
    ] == [
        *("-2", "-1.5", "-0.1", "-0.2", "-0.0015"),
    ]


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "json"),
        ("", "json"),
        ("text/csv", "csv"),
        ("TEXT/CSV; charset=utf-8", "csv"),
        ("application/ndjson", "ndjson"),
        ("text/csv;q=0.2, application/x-ndjson;q=0.9", "ndjson"),
        ("text/csv;q=nonsense", "json"),
        ("text/csv;q=nan", "json"),
        (";;,,q=1", "json"),
        ("image/png", "json"),
    ],
)
def test_the_best_format_that_is_accepted_is_chosen(accept: str | None, chosen: str) -> None:
    assert wanted_format(None, accept) == chosen


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("interval", "start", "end", "starts"),
    [
        ("hour", "2026-01-01T10:59:59", "2026-01-01T12:00", ["2026-01-01T10:00", "2026-01-01T11:00"]),
        ("hour", "2026-01-01T10:00", "2026-01-01T10:00:00.000001", ["2026-01-01T10:00"]),
        ("day", "2024-02-28T12:00", "2024-03-01T00:00", ["2024-02-28", "2024-02-29"]),
        ("week", "2026-01-01", "2026-01-12T00:00", ["2025-12-29", "2026-01-05"]),
        ("month", "2025-12-31", "2026-02-01T00:00:01", ["2025-12-01", "2026-01-01", "2026-02-01"]),
        ("month", "9999-11-30", "9999-12-31T23:59", ["9999-11-01", "9999-12-01"]),
    ],
)
def test_spans_begin_on_the_calendars_lines(
    interval: Interval, start: str, end: str, starts: list[str]
) -> None:
    assert bucket_starts(at(start), at(end), interval) == [at(text) for text in starts]


def test_a_thousand_spans_are_the_most() -> None:
    start = at("2026-01-01")
    last = start.replace(hour=0).timestamp() + BUCKETS_MAX * 3_600
    assert len(bucket_starts(start, datetime.fromtimestamp(last, UTC), "hour") or []) == BUCKETS_MAX
    assert bucket_starts(start, datetime.fromtimestamp(last + 1, UTC), "hour") is None


def test_every_span_of_every_part_has_its_point() -> None:
    starts = [datetime(2026, 11, day, tzinfo=UTC) for day in (1, 2)]
    second = str(int(starts[1].timestamp()))
    part = SeriesPart('a "b"', [second], ["3"], ["-0.000001"], ["7"])

    named, unnamed = (
        msgspec.json.decode(msgspec.json.encode(filled(series, starts))) for series in ([part], [])
    )

    empty = {"events": 0, "credits": "0", "unfunded_credits": "0"}
    assert unnamed == [
        {"group": None, "points": [{"start": f"2026-11-0{day}T00:00:00Z"} | empty for day in (1, 2)]}
    ]
    assert named == [
        {
            "group": 'a "b"',
            "points": [
                {"start": "2026-11-01T00:00:00Z"} | empty,
                {
                    "start": "2026-11-02T00:00:00Z",
                    "events": 3,
                    "credits": "-0.000001",
                    "unfunded_credits": "7",
                },
            ],
        }
    ]
