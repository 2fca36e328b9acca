"""What happens to nodes of a broker cluster: they die, are updated, cut off, freeze, or run short."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.broker_cluster import NODES
from tests.faults.watch import now_ms, until_settling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.broker_cluster import BrokerCluster
    from tests.faults.plan import Fault
    from tests.faults.scene import Scene

    Act = Callable[[Scene, Fault], Awaitable[None]]

#: While one node is away everyone settles over the others again within this, in seconds: a node cut off needs
#: until its neighbours' silence is noticed to know that it is alone, and only then sends its clients away.
_GOES_ON_S = 30.0
#: Long enough for that silence to be noticed.
_UNNOTICED_S = 12.0
#: What watches memory and disk looks so often, in seconds.
_LOOKED_AT_S = 2.0


class Stuck(Exception):
    """The rest of the cluster is well, and nothing is settled over it."""


async def _killed(cluster: BrokerCluster, number: int, scene: Scene, fault: Fault) -> None:
    await cluster.kill(number)
    try:
        await _goes_on(scene)
        await asyncio.sleep(fault.seconds)
    finally:
        await cluster.start(number)


async def _rolled(cluster: BrokerCluster, number: int, _scene: Scene, _fault: Fault) -> None:
    await cluster.start(number)


async def _cut_off(cluster: BrokerCluster, number: int, scene: Scene, fault: Fault) -> None:
    async with cluster.cut_off(number):
        await asyncio.sleep(_UNNOTICED_S + fault.seconds)
        await _goes_on(scene)
    await cluster.serves(number)


async def _frozen(cluster: BrokerCluster, number: int, scene: Scene, fault: Fault) -> None:
    with cluster.frozen(number):
        await asyncio.sleep(_UNNOTICED_S + fault.seconds)
        await _goes_on(scene)
    await cluster.serves(number)


async def _goes_on(scene: Scene) -> None:
    began = time.monotonic()
    missing = await until_settling(scene, now_ms())
    if missing or time.monotonic() - began > _GOES_ON_S:
        raise Stuck(f"without one node it took {time.monotonic() - began:.1f} s: {missing or 'all settle'}")


async def _alarmed(cluster: BrokerCluster, fault: Fault, alarm: str, calm: str) -> None:
    """One node runs short, and all of them stop to read from whoever publishes."""
    node = cluster.nodes[fault.which % NODES]
    await node.evaluate(alarm)
    try:
        await asyncio.sleep(_LOOKED_AT_S + fault.seconds)
    finally:
        await node.evaluate(calm)


async def memory_short(scene: Scene, fault: Fault) -> None:
    was = "vm_memory_monitor:set_vm_memory_high_watermark({absolute, 1073741824})."
    await _alarmed(_cluster(scene), fault, "vm_memory_monitor:set_vm_memory_high_watermark(0.00000001).", was)


async def disk_short(scene: Scene, fault: Fault) -> None:
    was = "rabbit_disk_monitor:set_disk_free_limit(536870912)."
    short = "rabbit_disk_monitor:set_disk_free_limit(1000000000000000)."
    await _alarmed(_cluster(scene), fault, short, was)


@asynccontextmanager
async def _silent_ways(scene: Scene) -> AsyncIterator[None]:
    flowing = [proxy.stall() for proxy in (scene.publishing, scene.consuming)]
    try:
        yield
    finally:
        for proxy in (scene.publishing, scene.consuming):
            proxy.cut()
        for event in flowing:
            event.set()


async def way_to_a_node_silent(scene: Scene, fault: Fault) -> None:
    """Nobody reaches the first node any more, which is well and accepts connections."""
    async with _silent_ways(scene):
        await _goes_on(scene)
        await asyncio.sleep(fault.seconds)


def _of_node(act: Callable[[BrokerCluster, int, Scene, Fault], Awaitable[None]], number: int) -> Act:
    return lambda scene, fault: act(_cluster(scene), number, scene, fault)


def _cluster(scene: Scene) -> BrokerCluster:
    assert scene.cluster is not None
    return scene.cluster


_OF_NODE = {"killed": _killed, "rolled": _rolled, "cut off": _cut_off, "frozen": _frozen}
#: One family: two nodes of three that are away at once are a broker that is away.
FAMILIES: dict[str, dict[str, Act]] = {
    "cluster": {
        **{
            f"node {number + 1} {what}": _of_node(act, number)
            for what, act in _OF_NODE.items()
            for number in range(NODES)
        },
        "a node short of memory": memory_short,
        "a node short of disk": disk_short,
        "way to a node silent": way_to_a_node_silent,
    }
}
