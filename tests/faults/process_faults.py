"""Processes that are killed, frozen and stopped."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from tests.faults.kept import Kept
    from tests.faults.plan import Fault
    from tests.faults.scene import Scene

#: Two workers settle two batches each at once.
_SETTLEMENTS = 4
#: So often it is looked whether they all wait; where another part is broken too they never may.
_LOOKS = 50
_LOOK_S = 0.1


async def worker_killed(scene: Scene, fault: Fault) -> None:
    await _one_of(scene.workers, fault).kill()


async def worker_killed_while_it_settles(scene: Scene, fault: Fault) -> None:
    """A lock keeps batches open until every worker has one; it dies, and so does what it did not commit."""
    # Where the database is broken at the same time there is no lock, and everything is open anyway.
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        async with scene.books.acme_locked():
            for _ in range(_LOOKS):
                if await scene.books.waiting_settlements() >= _SETTLEMENTS:
                    break
                await asyncio.sleep(_LOOK_S)
            await worker_killed(scene, fault)
            await scene.books.end_sessions_of_workers()
            return
    await worker_killed(scene, fault)


async def worker_frozen(scene: Scene, fault: Fault) -> None:
    await _frozen(_one_of(scene.workers, fault), fault.seconds)


async def worker_stopped(scene: Scene, fault: Fault) -> None:
    await _one_of(scene.workers, fault).terminate()


async def service_killed(scene: Scene, fault: Fault) -> None:
    await _one_of(scene.services, fault).kill()


async def service_killed_before_the_confirm(scene: Scene, fault: Fault) -> None:
    """What it publishes goes nowhere for a while, and it dies before it can send that once more."""
    flowing = scene.publishing.stall()
    try:
        await asyncio.sleep(fault.seconds)
        await service_killed(scene, fault)
    finally:
        scene.publishing.cut()
        flowing.set()


async def service_frozen(scene: Scene, fault: Fault) -> None:
    await _frozen(_one_of(scene.services, fault), fault.seconds)


async def service_stopped(scene: Scene, fault: Fault) -> None:
    await _one_of(scene.services, fault).terminate()


def _one_of(kept: list[Kept], fault: Fault) -> Kept:
    return kept[fault.which % len(kept)]


async def _frozen(kept: Kept, seconds: float) -> None:
    pid = kept.freeze()
    try:
        await asyncio.sleep(seconds)
    finally:
        kept.thaw(pid)
