"""Cursors: what was written is read back, and nothing else is read."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.api.cursors import (
    CURSOR_MAX_CHARS,
    UnreadableCursor,
    decode_id,
    decode_position,
    encode_id,
    encode_position,
)
from meter.db.usage_history import EntryPosition

IDS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=255)
POSITIONS = st.builds(
    EntryPosition,
    st.datetimes(timezones=st.just(UTC)),
    st.uuids(),
    st.integers(min_value=0, max_value=32_767),
)


@given(POSITIONS)
def test_a_position_comes_back(position: EntryPosition) -> None:
    assert decode_position(encode_position(position)) == position


@given(IDS)
def test_an_id_comes_back(last: str) -> None:
    cursor = encode_id(last)
    assert decode_id(cursor) == last
    assert len(cursor) <= CURSOR_MAX_CHARS


def test_no_cursor_is_the_first_page() -> None:
    assert decode_id(None) == ""


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for decode, read_as in ((decode_position, EntryPosition), (decode_id, str)):
        try:
            assert isinstance(decode(text), read_as)
        except UnreadableCursor:
            continue


@given(st.binary(min_size=27, max_size=27))
def test_any_position_that_is_read_is_a_moment_of_the_calendar(raw: bytes) -> None:
    try:
        position = decode_position(base64.urlsafe_b64encode(raw).decode())
    except UnreadableCursor:
        return
    assert position.occurred_at.tzinfo is UTC


@pytest.mark.parametrize("cursor", ["", "A", "AQ", "AgAA", "AQA", "AQBB"])
def test_a_cursor_of_another_version_or_with_a_nul_is_refused(cursor: str) -> None:
    with pytest.raises(UnreadableCursor):
        decode_id(cursor)


def test_positions_are_in_the_order_of_the_ledger() -> None:
    day = datetime(2026, 1, 1, tzinfo=UTC)
    before = EntryPosition.before(day)
    after = decode_position(encode_position(EntryPosition(day, before.event_key, 0)))
    assert before < after
