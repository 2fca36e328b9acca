"""Processes that are killed, frozen and stopped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.kept import Kept
    from tests.faults.plan import Fault
    from tests.faults.scene import Scene


async def worker_killed(scene: Scene, fault: Fault) -> None:
    await _one_of(scene.workers, fault).kill()


async def worker_frozen(scene: Scene, fault: Fault) -> None:
    await _frozen(_one_of(scene.workers, fault), fault.seconds)


async def worker_stopped(scene: Scene, fault: Fault) -> None:
    await _one_of(scene.workers, fault).terminate()


async def service_killed(scene: Scene, fault: Fault) -> None:
    await _one_of(scene.services, fault).kill()


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
