"""What became of every event that was counted on: a decision over sets, nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.faults.usage import KNOWN, UNKNOWN, credits_of, org_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from decimal import Decimal
    from uuid import UUID


@dataclass(frozen=True)
class Found:
    """Where events are after the run.

    Attributes:
        ledger: those with a first entry, with the organization that has it.
        pending: those that wait for the event they take back.
        dead: those among the dead letters, as often as they are there.
        twice: how many have more than one first entry.
        taken: credits every organization was charged, funded or not.
        differences: balances that are not the sum of their rows, as ``meter reconcile`` counts them.
    """

    ledger: Collection[tuple[str, UUID]]
    pending: Collection[UUID]
    dead: Collection[UUID]
    twice: int
    taken: Mapping[str, Decimal | int]
    differences: int


@dataclass(frozen=True)
class Verdict:
    """What is wrong; all of it is 0 or empty where nothing is.

    Attributes:
        lost: events that were counted on and are nowhere.
        charged_twice: events with two first entries, and organizations whose charges are not the sum of
            their distinct events.
        reconcile_differences: balances that are not the sum of their rows.
        valid_dead_letters: events of known organizations among the dead letters.
        misplaced: events in the ledger of an organization that is not theirs.
        examples: ids to look into.
    """

    lost: int
    charged_twice: int
    reconcile_differences: int
    valid_dead_letters: int
    misplaced: int
    examples: list[str] = field(default_factory=list)


def judge(accepted: Iterable[UUID], found: Found) -> Verdict:
    """Compare what was counted on with what is there.

    Args:
        accepted: the ids of what services were promised.
        found: where events are.
    """
    settled = {key for _, key in found.ledger}
    lost = set(accepted) - settled - set(found.pending) - set(found.dead)
    misplaced = [key for org_id, key in found.ledger if org_id != org_of(key)]
    valid = [key for key in set(found.dead) if org_of(key) != UNKNOWN]
    due: Counter[str] = Counter()
    for key in settled:
        due[org_of(key)] += credits_of(key)
    wrong_sums = [org_id for org_id in KNOWN if found.taken.get(org_id, 0) != due[org_id]]
    examples = [
        *(f"lost: {key} of {org_of(key)}" for key in sorted(lost)[:10]),
        *(f"valid, but a dead letter: {key} of {org_of(key)}" for key in valid[:10]),
        *(f"in the wrong ledger: {key}" for key in misplaced[:10]),
        *(f"{org_id} was charged {found.taken.get(org_id, 0)}, not {due[org_id]}" for org_id in wrong_sums),
    ]
    return Verdict(
        lost=len(lost),
        charged_twice=found.twice + len(wrong_sums),
        reconcile_differences=found.differences,
        valid_dead_letters=len(valid),
        misplaced=len(misplaced),
        examples=examples,
    )
