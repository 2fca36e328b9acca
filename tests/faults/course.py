"""The course of a run: what broke, how long meter took after it, and what the run itself could not do."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.faults.report import RECOVERY_MAX_S, Recovery
from tests.faults.watch import GIVE_UP_S

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tests.faults.plan import Fault


@dataclass(frozen=True, slots=True)
class Recovered:
    """How long meter took after a group of faults.

    Attributes:
        faults: those of the group.
        back_at: when their parts were back; what workers logged after it belongs to this recovery.
        seconds: until everything settled again.
        missing: what did not, where it was given up.
    """

    faults: Sequence[Fault]
    back_at: datetime
    seconds: float
    missing: str | None

    @property
    def what(self) -> str:
        """The faults, in words."""
        return " and ".join(f"{fault.kind} for {fault.seconds:g} s" for fault in self.faults)

    @property
    def slowness(self) -> str:
        """How slow it was, in words."""
        given_up = f"; given up after {GIVE_UP_S:g} s: {self.missing}" if self.missing else ""
        began = f"{self.back_at:%H:%M:%S} UTC"
        return f"recovery took {self.seconds:.1f} s from {began} on, after {self.what}{given_up}"


@dataclass
class Course:
    """What happened so far.

    Attributes:
        recovered: after each group of faults, in order.
        troubles: what the run could not do, in sentences: then it is the run that has to be looked at.
    """

    recovered: list[Recovered] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    @property
    def faults(self) -> int:
        """How many faults are over."""
        return sum(len(each.faults) for each in self.recovered)

    def by_kind(self) -> dict[str, int]:
        """How many faults of each kind are over."""
        return dict(sorted(Counter(fault.kind for each in self.recovered for fault in each.faults).items()))

    def recovery(self) -> Recovery:
        """How long recoveries took."""
        took = [each.seconds for each in self.recovered] or [0.0]
        return Recovery(round(statistics.median(took), 2), round(max(took), 2))

    def slow(self) -> list[str]:
        """The recoveries that took too long, in sentences."""
        return [each.slowness for each in self.recovered if each.seconds > RECOVERY_MAX_S]
