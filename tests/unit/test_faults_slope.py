"""What grows is told from what only moves."""

from __future__ import annotations

import random

import pytest
from tests.faults.slope import growth, slope
from tests.faults.soak import FILES_GROWTH, LAG_MAX_S, MEMORY_GROWTH_BYTES, Samples

TIMES = [index * 0.5 for index in range(60)]
MIB = 1024 * 1024


@pytest.mark.parametrize("per_second", [-3.0, 0.0, 0.25, 1_000.0])
def test_the_slope_of_a_straight_line_is_that_of_the_line(per_second: float) -> None:
    values = [7 + per_second * time for time in TIMES]
    assert slope(TIMES, values) == pytest.approx(per_second)
    assert growth(TIMES, values) == pytest.approx(per_second * 29.5)


def test_one_moment_has_no_slope() -> None:
    assert slope([1.0], [5.0]) == 0
    assert slope([1.0, 1.0], [5.0, 6.0]) == 0


def _samples(
    *, memory: list[float] | None = None, files: list[float] | None = None, lag: float = 0.01
) -> Samples:
    flat = [100.0 * MIB] * len(TIMES)
    return Samples(
        TIMES, {"worker-0": memory or flat}, {"worker-0": files or [20.0] * len(TIMES)}, [lag, 0.01]
    )


def test_noise_a_peak_and_a_fall_are_no_growth() -> None:
    dice = random.Random(1)
    noisy = [100 * MIB + dice.uniform(-2, 2) * MIB for _ in TIMES]
    peak = [*([100.0 * MIB] * 40), 140.0 * MIB, *([100.0 * MIB] * 19)]
    falling = [100 * MIB - time * MIB for time in TIMES]
    for memory in (noisy, peak, falling):
        assert _samples(memory=memory).complaints() == []


def test_memory_and_files_that_rise_all_the_time_are_growth_and_late_usage_is_told() -> None:
    dice = random.Random(1)
    leak = 1.5 * MEMORY_GROWTH_BYTES / TIMES[-1]
    leaking = [100 * MIB + dice.uniform(-1, 1) * MIB + leak * time for time in TIMES]
    (sentence,) = _samples(memory=leaking).complaints()
    assert "worker-0 grew by" in sentence
    opening = [20 + 1.5 * FILES_GROWTH / TIMES[-1] * time for time in TIMES]
    (sentence,) = _samples(files=opening).complaints()
    assert "more files open" in sentence
    (sentence,) = _samples(lag=LAG_MAX_S + 1).complaints()
    assert "to be settled" in sentence
