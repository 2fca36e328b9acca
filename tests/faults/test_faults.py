"""The fault suite in short; ``make faults`` does the same with a million events."""

from __future__ import annotations

import os

from tests.faults.run import Plan, Run

#: Another one draws other faults: METER_TEST_SEED=7 make test ARGS='-k faults_of'
#: This one kills a worker, a publisher, the broker and the database.
_SEED = int(os.environ.get("METER_TEST_SEED", "31"))


async def test_faults_of_every_part_under_load_lose_nothing_and_charge_nothing_twice() -> None:
    plan = Plan(seed=_SEED, events=20_000, faults=8, rate=1_000, durable=2, brief=True)
    report = await Run(plan, lambda _what, _so_far: None).run()
    assert report.is_clean, report.text()
    assert report.events >= 20_000
    assert sum(report.by_kind.values()) == 8
    assert len(report.by_kind) >= 5
    # Services send events twice, and what was delivered to a part that broke is delivered again.
    assert report.duplicates_absorbed
    assert report.dead_letters
    assert report.readiness_denials > 0
