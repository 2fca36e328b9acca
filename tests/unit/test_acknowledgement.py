from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meter.consumers.acknowledgement import Watermark


def test_nothing_is_acknowledged_while_the_first_delivery_is_open() -> None:
    watermark = Watermark()
    watermark.done(2)
    watermark.done(3)
    assert watermark.take() is None
    assert watermark.waiting == 2


def test_the_gap_closed_acknowledges_everything_at_once() -> None:
    watermark = Watermark()
    for tag in (2, 3, 1):
        watermark.done(tag)
    assert watermark.take() == 3
    assert watermark.take() is None
    assert watermark.waiting == 0


def test_a_delivery_done_twice_counts_once() -> None:
    watermark = Watermark()
    for tag in (1, 1, 3, 3, 2, 1):
        watermark.done(tag)
    assert watermark.take() == 3


@given(st.integers(1, 60).flatmap(lambda n: st.permutations(range(1, n + 1))), st.data())
def test_an_acknowledged_tag_and_all_below_it_are_done(order: list[int], data: st.DataObject) -> None:
    watermark, done, acked = Watermark(), set[int](), 0
    for tag in order:
        watermark.done(tag)
        done.add(tag)
        if data.draw(st.booleans()):
            taken = watermark.take()
            if taken is not None:
                assert taken > acked
                acked = taken
            assert set(range(1, acked + 1)) <= done
            assert acked + 1 not in done
    watermark.take()
    assert watermark.take() is None
    assert watermark.waiting == 0
