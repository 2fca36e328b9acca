"""The fault suite finds a worker that says it is ready though it cannot be, and reports as it goes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.faults.course import Course, Recovered
from tests.faults.plan import Fault
from tests.faults.readiness import Readiness
from tests.faults.report import Report

if TYPE_CHECKING:
    from pathlib import Path


def test_a_worker_that_says_it_is_ready_while_a_part_is_away_lies_once_it_had_time_to_notice() -> None:
    readiness = Readiness({})
    readiness.judge("worker-0", "the broker", -0.5, is_ready=True)
    readiness.judge("worker-0", "the broker", 0.5, is_ready=False)
    assert (readiness.lies, readiness.denials) == ([], 1)
    readiness.judge("worker-0", "the broker", 1.5, is_ready=True)
    assert readiness.lies == ["worker-0 said that it is ready, 1.5 s late, while the broker was away"]


def test_a_part_may_be_away_for_two_reasons_at_once() -> None:
    readiness = Readiness({})
    with readiness.away("the broker"), readiness.away("the broker"):
        pass
    assert readiness.lies == []


def test_a_course_names_what_recovered_slowly_and_counts_kinds() -> None:
    course = Course()
    assert course.recovery().max == 0
    back_at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    course.recovered.append(Recovered([Fault("cut", 1.0, 0)], back_at, 2.0, None))
    course.recovered.append(
        Recovered([Fault("cut", 1.0, 0), Fault("killed", 2.5, 1)], back_at, 95.0, "1 workers ready")
    )
    assert course.faults == 3
    assert course.by_kind() == {"cut": 2, "killed": 1}
    assert (course.recovery().p50, course.recovery().max) == (48.5, 95.0)
    (slow,) = course.slow()
    assert "95.0 s from 03:04:05 UTC on, after cut for 1 s and killed for 2.5 s; given up" in slow


def test_a_report_written_before_the_end_says_that_it_is_not_finished(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    so_far = Report(
        seed=7, events=10, faults=1, by_kind={"cut": 1}, recovery_seconds=Course().recovery(), seconds=1.0
    )
    so_far.write(file)
    written = json.loads(file.read_text())
    assert (written["seed"], written["finished"], written["lost"]) == (7, False, None)
    assert not so_far.is_clean
    assert list(tmp_path.iterdir()) == [file]
