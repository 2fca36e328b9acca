"""Frames of the spool: whatever happens to a file, only what was written comes out, and damage is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.events import MESSAGE_MAX_BYTES, MESSAGE_MAX_EVENTS
from meter.publisher.spool.framing import FRAME_MAX_BYTES, MARK, Damage, framed, scan

EVENTS = st.lists(
    st.text(max_size=40).map(lambda text: f'{{"text":"{text}"}}'.encode()), min_size=1, max_size=12
)


def written(events: list[bytes]) -> bytes:
    return b"".join(framed("acme", event) for event in events)


def read_all(content: bytes, block_bytes: int = FRAME_MAX_BYTES) -> tuple[list[bytes], set[Damage]]:
    """Read a file block by block, as the spool does."""
    events: list[bytes] = []
    damages: set[Damage] = set()
    at = 0
    while at < len(content):
        block = content[at : at + block_bytes]
        found = scan(block, ends=at + len(block) == len(content))
        assert found.consumed > 0
        events += found.events
        damages |= {found.damage} - {None}
        at += found.consumed
    return events, damages


@given(EVENTS)
def test_what_was_written_is_read(events: list[bytes]) -> None:
    assert read_all(written(events)) == (events, set())


@given(EVENTS, st.data())
def test_a_cut_file_yields_what_was_whole_and_says_that_it_is_torn(
    events: list[bytes], data: st.DataObject
) -> None:
    content = written(events)
    cut = data.draw(st.integers(min_value=0, max_value=len(content)))
    found, damages = read_all(content[:cut])
    assert found == events[: len(found)]
    at_a_seam = written(found) == content[:cut]
    assert damages == (set() if at_a_seam else {Damage.TORN})
    assert at_a_seam or len(written(events[: len(found) + 1])) > cut


@given(EVENTS, st.integers(min_value=1, max_value=20_000))
def test_zeros_that_a_power_cut_left_behind_are_a_torn_tail(events: list[bytes], zeros: int) -> None:
    assert read_all(written(events) + bytes(zeros)) == (events, {Damage.TORN})


@given(EVENTS, st.data())
def test_a_flipped_byte_costs_the_event_it_is_in_and_is_told(
    events: list[bytes], data: st.DataObject
) -> None:
    content = bytearray(written(events))
    at = data.draw(st.integers(min_value=0, max_value=len(content) - 1))
    content[at] ^= data.draw(st.integers(min_value=1, max_value=255))
    hit = next(index for index in range(len(events)) if len(written(events[: index + 1])) > at)
    found, damages = read_all(bytes(content))
    assert found == events[:hit] + events[hit + 1 :]
    assert len(damages) == 1
    assert damages == {Damage.CORRUPT} or hit == len(events) - 1


@given(EVENTS, st.data())
def test_bytes_that_are_missing_in_the_middle_are_corruption(
    events: list[bytes], data: st.DataObject
) -> None:
    content = written([*events, b"{}"])
    begin = data.draw(st.integers(min_value=0, max_value=len(written(events)) - 1))
    end = data.draw(st.integers(min_value=begin + 1, max_value=len(written(events))))
    found, damages = read_all(content[:begin] + content[end:])
    survivors = iter([*events, b"{}"])
    assert all(event in survivors for event in found)
    assert found[-1] == b"{}"
    whole = written(found) == content[:begin] + content[end:]
    assert damages == (set() if whole else {Damage.CORRUPT})


@given(st.binary(max_size=3_000))
def test_a_file_that_is_none_of_ours_yields_nothing(content: bytes) -> None:
    events, damages = read_all(content)
    assert events == []
    assert bool(damages) is bool(content)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_damage_longer_than_a_block_is_read_past(position: int) -> None:
    events = [b'{"first":1}', b'{"second":2}']
    rubbish = bytes(position) + MARK * 10 + b"x" * (2 * FRAME_MAX_BYTES + position)
    content = written(events[:1]) + rubbish + written(events[1:])
    assert read_all(content) == (events, {Damage.CORRUPT})


def test_a_message_holds_no_more_than_the_contract_allows() -> None:
    many = written([b"{}"] * (MESSAGE_MAX_EVENTS + 1))
    assert len(scan(many, ends=True).events) == MESSAGE_MAX_EVENTS
    large = written([b"x" * (MESSAGE_MAX_BYTES // 3)] * 3)
    assert len(scan(large, ends=True).events) == 2
    full = [
        b"x" * ((MESSAGE_MAX_BYTES - 3) // 2),
        b"x" * (MESSAGE_MAX_BYTES - 3 - (MESSAGE_MAX_BYTES - 3) // 2),
    ]
    assert scan(written(full), ends=True).events == tuple(full)


def test_the_largest_event_is_read_alone() -> None:
    largest = b"x" * (MESSAGE_MAX_BYTES - 2)
    assert read_all(written([b"{}", largest, b"{}"])) == ([b"{}", largest, b"{}"], set())


def test_a_message_is_routed_by_its_first_event() -> None:
    assert scan(framed("acme", b"{}") + framed("umbrella", b"{}"), ends=True).routing_key == "acme"
