"""A line of the table: the figure, what it must be, and what it was measured against."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Target:
    """What a line must reach.

    Attributes:
        line: its name, ``B1`` …
        title: what is measured.
        against: what it is divided by, or the conditions of an absolute figure.
        bound: the figure it must reach; None where it is only told.
        unit: of the figure; ``ratio`` where it has none.
        at: whether the bound is the least or the most that holds.
    """

    line: str
    title: str
    against: str
    bound: float | None
    unit: str = "ratio"
    at: Literal["least", "most"] = "least"

    @property
    def must(self) -> str:
        """The bound as the table shows it."""
        return "" if self.bound is None else f"{'≥' if self.at == 'least' else '≤'} {self.bound:,g}"

    def holds(self, value: float) -> bool:
        """Whether a figure reaches the bound."""
        return self.bound is None or (value >= self.bound if self.at == "least" else value <= self.bound)


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured for a line.

    Attributes:
        target: the line.
        samples: one figure a round, in the order of the rounds; none where it could not be measured.
        parts: what the figures were made of, by name, one a round: rates in events a second.
    """

    target: Target
    samples: Sequence[float]
    parts: dict[str, Sequence[float]]

    @property
    def value(self) -> float:
        """The median; not a number where nothing was measured."""
        return statistics.median(self.samples) if self.samples else math.nan

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the most."""
        return min(self.samples, default=math.nan), max(self.samples, default=math.nan)

    @property
    def holds(self) -> bool:
        """Whether the median reaches the bound."""
        return self.target.holds(self.value)
