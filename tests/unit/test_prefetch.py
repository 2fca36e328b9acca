from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.consumers.prefetch import FIRST_PREFETCH, PREFETCH_MAX, WINDOW_MIN_MESSAGES, Prefetch

MIB = 1024 * 1024


def _feed(prefetch: Prefetch, messages: int, events: int, size: int) -> list[int]:
    changes = []
    for _ in range(messages):
        prefetch.observe(1, events, size)
        changed = prefetch.change()
        if changed is not None:
            changes.append(changed)
    return changes


def test_it_begins_low() -> None:
    assert Prefetch(8_000, 64 * MIB).count == FIRST_PREFETCH


def test_it_begins_lower_where_even_so_few_messages_could_be_too_many_bytes() -> None:
    assert Prefetch(8_000, 4 * MIB).count == 4
    assert Prefetch(3, 64 * MIB).count == 3


def test_it_knows_nothing_before_a_window_of_messages() -> None:
    assert _feed(Prefetch(8_000, 64 * MIB), WINDOW_MIN_MESSAGES - 1, 1, 300) == []


@pytest.mark.parametrize(
    ("events", "size", "count"),
    [(1, 300, 8_000), (100, 30_000, 80), (1_000, 300_000, 8), (1, MIB, 64), (1, 16 * MIB, 4)],
)
def test_it_settles_where_about_the_wanted_events_and_bytes_are_held(
    events: int, size: int, count: int
) -> None:
    prefetch = Prefetch(8_000, 64 * MIB)
    changes = _feed(prefetch, 20_000, events, size)
    assert count / 2 < prefetch.count < count * 2
    assert len(changes) <= 1


def test_messages_that_grow_suddenly_lower_it_before_the_bound_has_passed_twice() -> None:
    prefetch = Prefetch(8_000, 64 * MIB)
    _feed(prefetch, 20_000, 1, 300)
    assert prefetch.count == 8_000
    _feed(prefetch, 64, 1, MIB)
    assert prefetch.count <= 128


def test_messages_that_shrink_raise_it_step_by_step() -> None:
    prefetch = Prefetch(8_000, 64 * MIB)
    _feed(prefetch, 100, 1, MIB)
    changes = _feed(prefetch, 40_000, 1, 300)
    assert changes == sorted(changes)
    assert changes[0] < 1_000
    assert prefetch.count > 4_000


def test_one_large_message_among_many_small_ones_does_not_make_it_waver() -> None:
    prefetch = Prefetch(8_000, 64 * MIB)
    _feed(prefetch, 1_000, 1, 300)
    changes = []
    for number in range(50_000):
        prefetch.observe(1, 1, MIB if number % 1_000 == 0 else 300)
        changed = prefetch.change()
        if changed is not None:
            changes.append(changed)
    assert len(changes) <= 1


@given(
    max_events=st.integers(1, 100_000),
    max_bytes=st.integers(MIB, 1024 * MIB),
    messages=st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 16 * MIB)), max_size=300),
)
def test_it_always_is_a_count_the_broker_takes_and_changes_by_a_factor(
    max_events: int, max_bytes: int, messages: list[tuple[int, int]]
) -> None:
    prefetch = Prefetch(max_events, max_bytes)
    for events, size in messages:
        before = prefetch.count
        prefetch.observe(1, events, size)
        changed = prefetch.change()
        assert 1 <= prefetch.count <= PREFETCH_MAX
        if changed is None:
            assert prefetch.count == before
        else:
            assert changed == prefetch.count
            assert changed >= 2 * before or changed <= before / 2
