"""A broker of three nodes under load, in short; ``make faults-cluster`` does everything to each of them."""

from __future__ import annotations

import time

from tests.faults.cluster_faults import FAMILIES
from tests.faults.draining import drain
from tests.faults.finding import find_all
from tests.faults.plan import Fault
from tests.faults.report import RECOVERY_MAX_S
from tests.faults.run import beside
from tests.faults.scene import running_scene
from tests.faults.verdict import judge
from tests.faults.watch import Counters, log_lines, now_ms, until_settling

from meter.consumers import USAGE_QUEUE


async def test_the_leader_of_a_broker_cluster_is_killed_and_a_node_falls_silent_under_load() -> None:
    async with running_scene(rate=300, services=2, durable=1, stage="cluster") as scene:
        assert scene.cluster is not None
        counters = Counters(scene)
        async with beside(counters.keep()):
            assert await until_settling(scene, now_ms()) is None
            leader = await scene.cluster.leader(USAGE_QUEUE)
            for kind in (f"node {leader + 1} killed", "way to a node silent"):
                await FAMILIES["cluster"][kind](scene, Fault(kind, 0.5, leader))
                back = time.monotonic()
                assert await until_settling(scene, now_ms()) is None
                assert time.monotonic() - back < RECOVERY_MAX_S
            assert scene.events > 1_000
        assert await drain(scene, counters) == []
        verdict = judge(scene.all_accepted(), await find_all(scene))
        assert verdict.examples == []
        assert (verdict.lost, verdict.charged_twice, verdict.reconcile_differences) == (0, 0, 0)
        assert verdict.valid_dead_letters == verdict.misplaced == 0
        # Two workers lose a node twice, and say so once each time and why the next one does not do, if so.
        said = log_lines(scene)
        assert said["not consuming, connecting anew"] <= 8
