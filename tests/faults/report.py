"""What a run says in the end: for people, and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.verdict import Verdict

#: A part that is back is used again within this, in seconds.
RECOVERY_MAX_S = 10.0
#: What two workers say about one fault at the most, on average: each loses the broker or the database, says
#: so once a reason, and has it again; or one ends and starts.
LINES_A_FAULT = 8


@dataclass(frozen=True)
class Recovery:
    """How long meter took to settle again after parts were back, in seconds."""

    p50: float
    max: float


@dataclass(frozen=True)
class Report:
    """What happened and what was found."""

    seed: int
    events: int
    faults: int
    by_kind: dict[str, int]
    lost: int
    charged_twice: int
    reconcile_differences: int
    recovery_seconds: Recovery
    duplicates_absorbed: int
    duplicates_sent: int
    valid_dead_letters: int
    dead_letters: int
    log_lines: int
    complaints: list[str]
    seconds: float

    @property
    def is_clean(self) -> bool:
        """Whether meter kept what it promises."""
        return not self.complaints

    def write(self, file: Path) -> None:
        """Write it as JSON."""
        file.write_text(json.dumps(asdict(self), indent=1) + "\n")

    def text(self) -> str:
        """Put it into words."""
        recovered = self.recovery_seconds
        lines = [
            f"seed {self.seed}: {self.events:,} events, {self.faults} faults in {self.seconds:,.0f} s",
            *(f"  {count:4} {kind}" for kind, count in self.by_kind.items()),
            f"lost: {self.lost}",
            f"charged twice: {self.charged_twice}",
            f"reconcile differences: {self.reconcile_differences}",
            f"valid events among the {self.dead_letters:,} dead letters: {self.valid_dead_letters}",
            f"recovered within {recovered.p50:.1f} s in the median, {recovered.max:.1f} s at the most",
            f"duplicates absorbed: {self.duplicates_absorbed:,}; sent by services: {self.duplicates_sent:,}",
            f"workers wrote {self.log_lines} log lines",
            *(f"WRONG: {complaint}" for complaint in self.complaints),
            "all is well" if self.is_clean else "NOT WELL; the same faults again with the same seed",
        ]
        return "\n".join(lines)


def complaints_of(
    verdict: Verdict, *, slow: list[str], unasked: list[str], log_lines: int, faults: int
) -> list[str]:
    """Say everything that is wrong, in sentences.

    Args:
        verdict: of the events.
        slow: recoveries that took too long.
        unasked: processes that ended though nobody ended them.
        log_lines: that workers wrote, dead letters apart.
        faults: how many there were.
    """
    counts = {
        "events that were counted on are lost": verdict.lost,
        "charges are more or less than the sum of their events": verdict.charged_twice,
        "balances are not the sum of their rows": verdict.reconcile_differences,
        "valid events are dead letters": verdict.valid_dead_letters,
        "events are in the ledger of another organization": verdict.misplaced,
    }
    wrong = [f"{count} {what}" for what, count in counts.items() if count]
    # One fault more: starting and stopping everything.
    if log_lines > LINES_A_FAULT * (faults + 1):
        wrong.append(f"{log_lines} log lines for {faults} faults are a flood")
    return [*wrong, *verdict.examples, *slow, *unasked]
