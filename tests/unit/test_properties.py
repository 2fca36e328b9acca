from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from meter.consumers.properties import read_properties
from meter.events import CONTENT_TYPE_BATCH, CONTENT_TYPE_EVENT

if TYPE_CHECKING:
    from pamqp.common import FieldTable

AT = 12
NOW_US = 1_760_000_000_000_000


def _read(properties: Basic.Properties) -> tuple[str | None, int, int | None]:
    return read_properties(ContentHeader(0, 17, properties).marshal(), AT)


@pytest.mark.parametrize("content_type", [CONTENT_TYPE_EVENT, CONTENT_TYPE_BATCH, "text/plain", None])
@pytest.mark.parametrize("encoding", [None, "gzip"])
@pytest.mark.parametrize("delivery_mode", [None, 2])
@pytest.mark.parametrize(
    ("headers", "attempts", "published_us"),
    [
        (None, 1, None),
        ({"meter-published-at": NOW_US}, 1, NOW_US),
        ({"meter-published-at": NOW_US, "x-delivery-count": 3}, 4, NOW_US),
        ({"x-delivery-count": 70_000, "meter-published-at": NOW_US}, 70_001, NOW_US),
        ({"x-acquired-count": 4, "x-delivery-count": 1}, 5, None),
        ({"x-acquired-count": "often", "x-delivery-count": 2}, 3, None),
        ({"meter-published-at": -1, "x-delivery-count": -1}, 1, None),
        ({"meter-published-at": "yesterday", "x-delivery-count": "often"}, 1, None),
        ({"meter-published-at": None, "x-delivery-count": True}, 1, None),
    ],
)
def test_what_is_of_interest_is_read_and_what_is_not_a_number_is_absent(
    content_type: str | None,
    encoding: str | None,
    delivery_mode: int | None,
    headers: FieldTable | None,
    attempts: int,
    published_us: int | None,
) -> None:
    properties = Basic.Properties(
        content_type=content_type,
        content_encoding=encoding,
        headers=headers,
        delivery_mode=delivery_mode,
        message_id="m-1",
    )
    assert _read(properties) == (content_type, attempts, published_us)


def test_headers_of_every_type_are_passed_over() -> None:
    headers: FieldTable = {
        "truth": True,
        "byte": -1,
        "short": 300,
        "unsigned": 40_000,
        "long": -70_000,
        "longer": 1 << 40,
        "float": 1.5,
        "decimal": Decimal("1.5"),
        "text": "meter-published-at",
        "bytes": bytearray(b"\x12meter-published-atl........"),
        "array": ["a", 1, {"b": 2}],
        "table": {"meter-published-at": 1},
        "time": datetime(2026, 1, 31, tzinfo=UTC),
        "nothing": None,
        "meter-published-at": NOW_US,
        "x-delivery-count": 1,
    }
    assert _read(Basic.Properties(headers=headers)) == (None, 2, NOW_US)


def test_a_content_type_that_is_no_text_is_absent_and_what_follows_is_read() -> None:
    properties = Basic.Properties(content_type="plain", headers={"meter-published-at": NOW_US})
    payload = ContentHeader(0, 17, properties).marshal().replace(b"plain", b"pl\xffin")
    assert read_properties(payload, AT) == (None, 1, NOW_US)


def test_a_value_of_an_unknown_type_ends_the_headers() -> None:
    table = b"\x10x-delivery-countb\x01" + b"\x01a?" + b"\x12meter-published-atb\x01"
    payload = bytes(AT) + b"\x20\x00" + len(table).to_bytes(4, "big") + table
    assert read_properties(payload, AT) == (None, 2, None)


def test_properties_cut_short_anywhere_are_absent_from_there_on() -> None:
    properties = Basic.Properties(
        content_type=CONTENT_TYPE_EVENT, headers={"x-delivery-count": 1, "meter-published-at": NOW_US}
    )
    payload = ContentHeader(0, 17, properties).marshal()
    seen = {read_properties(payload[:end], AT) for end in range(AT, len(payload) + 1)}
    assert seen == {
        (None, 1, None),
        (CONTENT_TYPE_EVENT, 1, None),
        (CONTENT_TYPE_EVENT, 1, NOW_US),
        (CONTENT_TYPE_EVENT, 2, NOW_US),
    }


@given(st.binary(max_size=2), st.binary(max_size=200))
def test_no_bytes_are_an_error(flags: bytes, properties: bytes) -> None:
    content_type, attempts, published_us = read_properties(bytes(AT) + flags + properties, AT)
    assert content_type is None or isinstance(content_type, str)
    assert attempts >= 1
    assert published_us is None or published_us > 0
