"""A database with a standby that every commit waits for: it fails over, again and again."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from tests.faults.readiness import SILENCE_NOTICED_WITHIN_S
from tests.faults.watch import now_ms, until_settling
from tests.frozen import frozen

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
    assert pair.primary.child.pid is not None
    with frozen(pair.primary.child.pid):
        await _unnoticed_at_first(scene, "the database", fault)
        await _promote(scene, pair)
        # Nobody waits for it to come back.
        missing = await until_settling(scene, now_ms())
        assert missing is None, f"beside a frozen former primary: {missing}"


async def standby_away(scene: Scene, fault: Fault) -> None:
    """Nothing is committed meanwhile."""
    pair = await _followed(scene)
    await pair.standby.stop()
    await _unnoticed_at_first(scene, "the standby", fault)
    await pair.standby.start()


async def _followed(scene: Scene) -> Pair:
    pair = _pair(scene)
    await pair.follow()
    return pair


async def _fails_over(scene: Scene, fault: Fault, pair: Pair) -> None:
    with scene.readiness.away("the database"):
        await asyncio.sleep(fault.seconds)
    await _promote(scene, pair)


async def _unnoticed_at_first(scene: Scene, part: str, fault: Fault) -> None:
    """Nobody answers for long enough that everyone has to say so."""
    with scene.readiness.away(part, SILENCE_NOTICED_WITHIN_S):
        await asyncio.sleep(SILENCE_NOTICED_WITHIN_S + fault.seconds)


async def _promote(scene: Scene, pair: Pair) -> None:
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
