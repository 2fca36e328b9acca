"""The verdict of the fault suite finds what is wrong, one thing at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest
from tests.faults.accepted import AcceptedFile, count_accepted, read_accepted
from tests.faults.report import complaints_of
from tests.faults.usage import UNKNOWN, credits_of, first_key, new_key, org_of, service_of, usage_of
from tests.faults.verdict import Found, Verdict, judge

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

KEYS = [new_key(number % 4) for number in range(2_000)]
SETTLED = [key for key in KEYS if org_of(key) != UNKNOWN]
DEAD = [key for key in KEYS if org_of(key) == UNKNOWN]
#: A known organization's event, to do something wrong with.
VICTIM = SETTLED[0]


def _charged(keys: list[UUID]) -> Counter[str]:
    taken: Counter[str] = Counter()
    for key in keys:
        taken[org_of(key)] += credits_of(key)
    return taken


ALL_THERE = Found(
    ledger=[(org_of(key), key) for key in SETTLED],
    pending=[],
    dead=DEAD,
    twice=0,
    taken=_charged(SETTLED),
    differences=0,
)
WITHOUT = [key for key in SETTLED if key != VICTIM]


def _wrong(verdict: Verdict) -> dict[str, int]:
    return {name: count for name, count in asdict(verdict).items() if name != "examples" and count}


def test_events_in_the_ledger_or_among_the_dead_letters_are_where_they_belong() -> None:
    assert DEAD
    assert _wrong(judge(KEYS, ALL_THERE)) == {}
    # More than was counted on is no fault: the service died before it could count.
    assert _wrong(judge(KEYS[:10], ALL_THERE)) == {}


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        (
            replace(ALL_THERE, ledger=[(org_of(key), key) for key in WITHOUT], taken=_charged(WITHOUT)),
            {"lost": 1},
        ),
        (replace(ALL_THERE, dead=DEAD[1:]), {"lost": 1}),
        (replace(ALL_THERE, dead=[*DEAD, VICTIM]), {"valid_dead_letters": 1}),
        (replace(ALL_THERE, twice=1), {"charged_twice": 1}),
        (replace(ALL_THERE, taken=_charged([*SETTLED, VICTIM])), {"charged_twice": 1}),
        (replace(ALL_THERE, taken=_charged(WITHOUT)), {"charged_twice": 1}),
        (replace(ALL_THERE, differences=2), {"reconcile_differences": 2}),
        (
            replace(ALL_THERE, ledger=[(UNKNOWN, VICTIM), *((org_of(key), key) for key in WITHOUT)]),
            {"misplaced": 1},
        ),
    ],
)
def test_one_thing_wrong_is_found_and_complained_about(found: Found, wrong: dict[str, int]) -> None:
    verdict = judge(KEYS, found)
    assert _wrong(verdict) == wrong
    assert complaints_of(verdict, told=[], log_lines=0, faults=8)


def test_an_event_that_waits_for_what_it_takes_back_is_not_lost() -> None:
    ledger = [(org_of(key), key) for key in WITHOUT]
    found = replace(ALL_THERE, ledger=ledger, pending=[VICTIM], taken=_charged(WITHOUT))
    assert _wrong(judge(KEYS, found)) == {}


def test_slow_recoveries_ended_processes_and_floods_are_complaints() -> None:
    clean = judge(KEYS, ALL_THERE)
    assert complaints_of(clean, told=[], log_lines=70, faults=8) == []
    assert complaints_of(clean, told=["too slow"], log_lines=0, faults=8) == ["too slow"]
    (flood,) = complaints_of(clean, told=[], log_lines=10_000, faults=8)
    assert "10000 log lines" in flood


def test_everything_about_an_event_follows_from_its_id() -> None:
    key = new_key(3)
    assert usage_of(key) == usage_of(key)
    assert key.version == 7
    assert service_of(key) == 3
    moment = key.int >> 80
    assert round(usage_of(key).time.timestamp() * 1_000) == moment
    assert first_key(moment) <= key < first_key(moment + 1)


def test_half_an_id_at_the_end_of_a_file_is_none(tmp_path: Path) -> None:
    file = tmp_path / "accepted"
    with AcceptedFile(file) as accepted:
        accepted.add(KEYS[:2])
        accepted.add(KEYS[2:3])
    with file.open("ab") as torn:
        torn.write(KEYS[3].bytes[:7])
    assert read_accepted(file) == KEYS[:3]
    assert count_accepted(file) == 3
    assert read_accepted(tmp_path / "none") == []
