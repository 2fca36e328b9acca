"""A database with a standby that every commit waits for: it fails over, again and again."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.faults.plan import Fault
    from tests.faults.scene import Scene
    from tests.standby import Pair

    Act = Callable[[Scene, Fault], Awaitable[None]]


async def primary_killed(scene: Scene, fault: Fault) -> None:
    pair = await _followed(scene)
    await pair.end_primary(signal.SIGKILL)
    await _fails_over(scene, fault, pair)


async def primary_stopped_at_once(scene: Scene, fault: Fault) -> None:
    pair = await _followed(scene)
    await pair.end_primary(signal.SIGQUIT)
    await _fails_over(scene, fault, pair)


async def primary_killed_and_back_beside_the_new_one(scene: Scene, fault: Fault) -> None:
    """Nobody has told it that it was replaced."""
    await primary_killed(scene, fault)
    await _pair(scene).bring_back_former()


async def primary_frozen_and_back_beside_the_new_one(scene: Scene, fault: Fault) -> None:
    """It goes on in the middle of what it did, with every connection it had."""
    pair = await _followed(scene)
    frozen = pair.primary.child.pid
    assert frozen is not None
    os.killpg(frozen, signal.SIGSTOP)
    try:
        await _fails_over(scene, fault, pair)
    finally:
        os.killpg(frozen, signal.SIGCONT)


async def standby_away(scene: Scene, fault: Fault) -> None:
    """Nothing is committed meanwhile."""
    pair = await _followed(scene)
    await pair.standby.stop()
    await asyncio.sleep(fault.seconds)
    await pair.standby.start()


async def _followed(scene: Scene) -> Pair:
    pair = _pair(scene)
    await pair.follow()
    return pair


async def _fails_over(scene: Scene, fault: Fault, pair: Pair) -> None:
    with scene.readiness.away("the database"):
        await asyncio.sleep(fault.seconds)
    await pair.promote()
    scene.books.look_at(pair.primary)


def _pair(scene: Scene) -> Pair:
    assert scene.pair is not None
    return scene.pair


#: One family: of two servers one is always needed.
FAMILIES: dict[str, dict[str, Act]] = {
    "standby": {
        "primary killed": primary_killed,
        "primary stopped at once": primary_stopped_at_once,
        "primary killed, and back beside the new one": primary_killed_and_back_beside_the_new_one,
        "primary frozen, and back beside the new one": primary_frozen_and_back_beside_the_new_one,
        "standby away": standby_away,
    }
}
