"""Rows of NDJSON and CSV, and what becomes of bad ones."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from meter.errors import ConfigurationError
from meter.publisher.usage_file import BadRow, FlatRow, Row, inspect_file, read_rows

if TYPE_CHECKING:
    from pathlib import Path

FLAT = b'{"org_id": "acme", "user_id": "alice", "service_type": "llm"}'
EVENT = (
    b'{"specversion": "1.0", "type": "meter.usage.v1", "id": "e-1", "source": "log", "subject": "acme",'
    b' "time": "2026-01-01T00:00:00Z", "data": {"user_id": "u", "service_type": "llm"}}'
)


def rows(folder: Path, name: str, content: bytes) -> list[Row | BadRow]:
    file = folder / name
    file.write_bytes(content)
    return list(read_rows(inspect_file(file)))


def arguments(row: Row | BadRow) -> FlatRow:
    assert isinstance(row, Row), row
    assert row.arguments is not None
    return row.arguments


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"x\ny\n")
    (tmp_path / "b.jsonl").write_bytes(b"x\ny\n")
    csv, ndjson = inspect_file(tmp_path / "a.csv"), inspect_file(tmp_path / "b.jsonl")
    assert csv.source == ndjson.source == "file:sha256:" + hashlib.sha256(b"x\ny\n").hexdigest()
    assert len(csv.source) <= 128
    assert (csv.kind, ndjson.kind, csv.lines) == ("csv", "ndjson", 2)


@pytest.mark.parametrize(
    ("name", "content"),
    [("usage.ndjson", FLAT), ("usage.csv", b"org_id,user_id,service_type,time\nacme,alice,llm,\n")],
)
def test_a_row_without_a_time_says_the_same_whenever_its_file_is_read(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (row,) = rows(tmp_path, name, content)
    os.utime(tmp_path / name, (1_700_000_000, 1_700_000_000.25))
    (again,) = read_rows(inspect_file(tmp_path / name))
    assert arguments(row).time is not None
    assert arguments(again).time == datetime(2023, 11, 14, 22, 13, 20, 250_000, tzinfo=UTC)


def test_a_file_from_the_future_has_no_usage_from_there(tmp_path: Path) -> None:
    rows(tmp_path, "usage.ndjson", FLAT)
    os.utime(tmp_path / "usage.ndjson", (9_000_000_000, 9_000_000_000))
    (row,) = read_rows(inspect_file(tmp_path / "usage.ndjson"))
    assert (time := arguments(row).time) is not None
    assert time <= datetime.now(UTC)


def test_a_file_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "usage.xls").write_bytes(b"")
    with pytest.raises(ConfigurationError, match=r"\.csv, \.ndjson or \.jsonl"):
        inspect_file(tmp_path / "usage.xls")
    assert inspect_file(tmp_path / "usage.xls", "csv").kind == "csv"


def test_a_flat_row_is_identified_by_file_and_number(tmp_path: Path) -> None:
    found = rows(tmp_path, "usage.ndjson", FLAT + b"\n\n" + FLAT + b"\n" + FLAT)
    source = inspect_file(tmp_path / "usage.ndjson").source
    assert [(arguments(row).id, arguments(row).source) for row in found] == [
        ("1", source),
        ("2", source),
        ("3", source),
    ]
    assert [row.line for row in found] == [1, 3, 4]


def test_a_row_may_bring_an_identity_of_its_own(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, "usage.csv", b"org_id,user_id,service_type,id,source\nacme,alice,llm,x-9,crm\n")
    assert (arguments(row).id, arguments(row).source) == ("x-9", "crm")


def test_every_field_of_an_ndjson_row_is_read_exactly(tmp_path: Path) -> None:
    (row,) = rows(
        tmp_path,
        "usage.ndjson",
        b'{"org_id":"acme","user_id":"alice","service_type":"llm","service_name":"gpt","quantity":2,'
        b'"credits":0.100001,"api_cost":"12345678901234.123456","key_source":"byok","request_id":"r",'
        b'"time":"2026-01-01T02:00:00.5+02:00","metadata":{"input_tokens":5,"ratio":0.25,"deep":{"a":[1]}}}',
    )
    read = arguments(row)
    assert (read.service_name, read.quantity, read.credits) == ("gpt", Decimal(2), Decimal("0.100001"))
    assert (read.api_cost, read.key_source) == (Decimal("12345678901234.123456"), "byok")
    assert (read.request_id, read.time) == ("r", datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC))
    assert read.metadata == {"input_tokens": 5, "ratio": 0.25, "deep": {"a": [1]}}


def test_every_column_of_a_csv_row_is_read_exactly(tmp_path: Path) -> None:
    header = (
        "\ufefforg_id,user_id,service_type,service_name,quantity,credits,api_cost,key_source,request_id,time,"
        "metadata,metadata.input_tokens,metadata.zip,metadata.note\n"
    )
    line = (
        "acme,alice,llm,,2.50,0.100001,1e-3,platform,r,2026-01-01T00:00:00Z,"
        '"{""a"": 1}",1200,00501,"über, mit ""Zeichen""\nund Zeile"\n'
    )
    (row,) = rows(tmp_path, "usage.csv", (header + line).encode())
    read = arguments(row)
    assert (read.service_name, read.quantity, read.credits) == (None, Decimal("2.50"), Decimal("0.100001"))
    assert (read.api_cost, read.time) == (Decimal("0.001"), datetime(2026, 1, 1, tzinfo=UTC))
    assert read.metadata == {
        "a": 1,
        "input_tokens": 1200,
        "zip": "00501",
        "note": 'über, mit "Zeichen"\nund Zeile',
    }
    assert row.line == 3


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("0", 0), ("-7", -7), ("1.5", 1.5), ("true", True), ("false", False),
        ("007", "007"), ("1e5", "1e5"), ("1.", "1."), ("NaN", "NaN"), ("null", "null"),
        ("12345678901234567890", "12345678901234567890"),
    ],
)  # fmt: skip
def test_a_metadata_cell_is_a_number_only_where_json_has_one(tmp_path: Path, cell: str, value: Any) -> None:
    content = f"org_id,user_id,service_type,metadata.x\nacme,alice,llm,{cell}\n".encode()
    (row,) = rows(tmp_path, "usage.csv", content)
    metadata = arguments(row).metadata
    assert metadata is not None
    assert metadata["x"] == value
    assert type(metadata["x"]) is type(value)


def test_a_written_event_keeps_its_bytes_and_identity(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, "usage.ndjson", EVENT + b"\r\n")
    assert row == Row(1, None, EVENT)


BAD_NDJSON = {
    "no JSON": b"{",
    "no object": b"[1]",
    "no UTF-8": b'{"org_id": "\xff"}',
    "nested without end": b'{"org_id": ' + b"[" * 100_000,
    "a field missing": b'{"org_id": "acme", "user_id": "alice"}',
    "an unknown field": FLAT[:-1] + b', "cost": 1}',
    "a wrong type": b'{"org_id": 1, "user_id": "alice", "service_type": "llm"}',
    "an amount that is none": FLAT[:-1] + b', "credits": "much"}',
    "a time that is none": FLAT[:-1] + b', "time": "yesterday"}',
    "a key source that is none": FLAT[:-1] + b', "key_source": "stolen"}',
}


@pytest.mark.parametrize("bad", BAD_NDJSON.values(), ids=BAD_NDJSON.keys())
def test_a_bad_line_is_told_and_the_others_are_read(tmp_path: Path, bad: bytes) -> None:
    first, middle, last = rows(tmp_path, "usage.ndjson", FLAT + b"\n" + bad + b"\n" + FLAT + b"\n")
    assert isinstance(middle, BadRow)
    assert middle.line == 2
    assert str(middle).startswith("line 2: ")
    assert (arguments(first).id, arguments(last).id) == ("1", "3")


BAD_CSV = {
    "too few cells": b"acme,alice\n",
    "too many cells": b"acme,alice,llm,1,2026-01-01T00:00:00Z,more\n",
    "no UTF-8": b"acme,\xff,llm,1,\n",
    "an empty required cell": b"acme,,llm,1,\n",
    "an amount that is none": b"acme,alice,llm,much,\n",
    "a time that is none": b"acme,alice,llm,1,yesterday\n",
}


@pytest.mark.parametrize("bad", BAD_CSV.values(), ids=BAD_CSV.keys())
def test_a_bad_csv_row_is_told_and_the_others_are_read(tmp_path: Path, bad: bytes) -> None:
    header, good = b"org_id,user_id,service_type,quantity,time\n", b"acme,alice,llm,1,\n"
    first, middle, last = rows(tmp_path, "usage.csv", header + good + bad + good)
    assert isinstance(middle, BadRow)
    assert middle.line == 3
    assert (arguments(first).id, arguments(last).id) == ("1", "3")


def test_a_quote_left_open_is_one_bad_row(tmp_path: Path) -> None:
    found = rows(tmp_path, "usage.csv", b'org_id,user_id,service_type\nacme,alice,llm\n"acme,bob,llm\n')
    assert [type(row) for row in found] == [Row, BadRow]


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (b"", "no column org_id, user_id, service_type"),
        (b"org_id,user_id\n", "no column service_type"),
        (b"org_id,user_id,service_type,model\n", "nobody knows: model; use metadata."),
        (b"org_id,user_id,service_type,org_id\n", "twice"),
    ],
)
def test_a_header_that_cannot_be_used_is_the_only_answer(
    tmp_path: Path, header: bytes, sentence: str
) -> None:
    (only,) = rows(tmp_path, "usage.csv", header + b"acme,alice,llm\n")
    assert isinstance(only, BadRow)
    assert sentence in str(only)


def test_the_rows_are_arguments_of_record(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, "usage.ndjson", FLAT)
    assert set(msgspec.structs.asdict(arguments(row))) == {
        "org_id", "user_id", "service_type", "service_name", "quantity", "credits", "api_cost", "key_source",
        "request_id", "metadata", "id", "source", "time",
    }  # fmt: skip
