from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meter.consumers.acknowledgement import Watermark


def test_nothing_is_acknowledged_while_the_first_delivery_is_open() -> None:
    watermark = Watermark()
    watermark.done(2, 3)
    assert watermark.take() is None
    assert watermark.waiting == 2


def test_the_gap_closed_acknowledges_everything_at_once() -> None:
    watermark = Watermark()
    for first, last in ((2, 2), (5, 9), (3, 4), (1, 1)):
        watermark.done(first, last)
    assert watermark.take() == 9
    assert watermark.take() is None
    assert watermark.waiting == 0


@st.composite
def _runs(draw: st.DrawFn) -> list[tuple[int, int]]:
    """The tags from 1 on, cut into runs that are done in any order."""
    ends = sorted(draw(st.sets(st.integers(1, 60), min_size=1, max_size=20)))
    firsts = [1, *(end + 1 for end in ends[:-1])]
    return draw(st.permutations(list(zip(firsts, ends, strict=True))))


@given(_runs(), st.data())
def test_an_acknowledged_tag_and_all_below_it_are_done(
    runs: list[tuple[int, int]], data: st.DataObject
) -> None:
    watermark, done, acked = Watermark(), set[int](), 0
    for first, last in runs:
        watermark.done(first, last)
        done.update(range(first, last + 1))
        assert watermark.waiting <= len(done)
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
