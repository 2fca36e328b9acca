"""Does something grow? A straight line through what was measured says it, by least squares."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """How steep the line of least squares is.

    Args:
        times: when each value was measured, in seconds.
        values: what was measured.

    Returns:
        The growth in a second; 0 where there is only one moment.
    """
    middle_time = sum(times) / len(times)
    middle = sum(values) / len(values)
    spread = sum((time - middle_time) ** 2 for time in times)
    if not spread:
        return 0.0
    return (
        sum((time - middle_time) * (value - middle) for time, value in zip(times, values, strict=True))
        / spread
    )


def growth(times: Sequence[float], values: Sequence[float]) -> float:
    """By how much that line rises from the first measurement to the last.

    A single high value in a long row moves it little, and so does noise; what rises all the time shows whole.
    """
    return slope(times, values) * (times[-1] - times[0])
