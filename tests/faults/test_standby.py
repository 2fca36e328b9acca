"""A primary freezes under load, in short; ``make faults-standby`` does everything to a pair of servers."""

from __future__ import annotations

import time

from tests.faults.draining import drain
from tests.faults.finding import find_all
from tests.faults.plan import Fault
from tests.faults.report import RECOVERY_MAX_S
from tests.faults.run import beside
from tests.faults.scene import running_scene
from tests.faults.standby_faults import FAMILIES
from tests.faults.verdict import judge
from tests.faults.watch import Counters, log_lines, now_ms, until_settling

_FROZEN = "primary frozen, and back beside the new one"


async def test_a_primary_that_freezes_as_a_whole_is_replaced_and_may_go_on_afterwards() -> None:
    async with running_scene(rate=200, services=2, durable=1, stage="standby") as scene:
        counters = Counters(scene)
        async with beside(counters.keep()), beside(scene.readiness.keep()):
            assert await until_settling(scene, now_ms()) is None
            await FAMILIES["standby"][_FROZEN](scene, Fault(_FROZEN, 0.5, 0))
            back = time.monotonic()
            assert await until_settling(scene, now_ms()) is None
            assert time.monotonic() - back < RECOVERY_MAX_S
        assert scene.readiness.denials > 0
        assert scene.readiness.lies == []
        assert await drain(scene, counters) == []
        verdict = judge(scene.all_accepted(), await find_all(scene))
        assert verdict.examples == []
        assert (verdict.lost, verdict.charged_twice, verdict.reconcile_differences) == (0, 0, 0)
        assert verdict.valid_dead_letters == verdict.misplaced == 0
        said = log_lines(scene)
        # Two workers, once each way; who needed a new connection first was told by the standby what it is.
        ways = ("waiting for it", "trying again")
        assert sum(said[f"the database does not settle, {way}"] for way in ways) == 2
        assert said["the database settles again"] == 2
