"""What a run says, as it goes and in the end: for people, and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
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
    """What happened and what was found; what is found only in the end is None before."""

    seed: int
    events: int
    faults: int
    by_kind: dict[str, int]
    recovery_seconds: Recovery
    seconds: float
    finished: bool = False
    lost: int | None = None
    charged_twice: int | None = None
    reconcile_differences: int | None = None
    duplicates_absorbed: int | None = None
    duplicates_sent: int | None = None
    valid_dead_letters: int | None = None
    dead_letters: int | None = None
    log_lines: int | None = None
    #: How often a worker said that it was not ready while something was away.
    readiness_denials: int = 0
    complaints: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether meter kept what it promises."""
        return self.finished and not self.complaints

    def write(self, file: Path) -> None:
        """Write it as JSON, all at once: who is killed meanwhile leaves the one before."""
        draft = file.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(self), indent=1) + "\n")
        draft.rename(file)

    def text(self) -> str:
        """Put it into words."""
        recovered = self.recovery_seconds
        lines = [
            f"seed {self.seed}: {self.events:,} events, {self.faults} faults in {self.seconds:,.0f} s",
            *(f"  {count:4} {kind}" for kind, count in self.by_kind.items()),
            f"lost: {self.lost}",
            f"charged twice: {self.charged_twice}",
            f"reconcile differences: {self.reconcile_differences}",
            f"valid events among the {self.dead_letters} dead letters: {self.valid_dead_letters}",
            f"recovered within {recovered.p50:.1f} s in the median, {recovered.max:.1f} s at the most",
            f"duplicates absorbed: {self.duplicates_absorbed}; sent by services: {self.duplicates_sent}",
            f"workers wrote {self.log_lines} log lines",
            f"/readyz denied {self.readiness_denials} times while a part was away",
            *(f"WRONG: {complaint}" for complaint in self.complaints),
            "all is well" if self.is_clean else "NOT WELL; the same faults again with the same seed",
        ]
        return "\n".join(lines)


def complaints_of(verdict: Verdict, *, told: list[str], log_lines: int, faults: int) -> list[str]:
    """Say everything that is wrong, in sentences.

    Args:
        verdict: of the events.
        told: what else is wrong, in sentences: slow recoveries, processes that ended by themselves.
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
    return [*wrong, *verdict.examples, *told]
