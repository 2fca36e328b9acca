"""Faults that take their time, or a library from elsewhere, for runs that have it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from meter.db.pool import COMMAND_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tests.faults.plan import Fault
    from tests.faults.scene import Scene

    Act = Callable[[Scene, Fault], Awaitable[None]]


#: One for each worker, and others.
_JUMPS_H = (5, -7, -1, 30, 2)


async def restarted(scene: Scene, fault: Fault) -> None:
    """As an operator does: sessions are ended with a word, everything is written."""
    await scene.postgres.stop()
    with scene.readiness.away("the database"):
        await asyncio.sleep(fault.seconds)
    await scene.postgres.start()


async def locked_for_longer_than_a_statement_may_take(scene: Scene, fault: Fault) -> None:
    """Over a minute: workers give up what they wait for, and wait again."""
    async with scene.books.acme_locked():
        await asyncio.sleep(COMMAND_TIMEOUT_SECONDS + fault.seconds)


async def clock_jumped(scene: Scene, fault: Fault) -> None:
    """By hours, ahead or behind, as nobody but the worker sees, and back again."""
    clock = scene.clocks[fault.which % len(scene.clocks)]
    clock.shift(_JUMPS_H[fault.which % len(_JUMPS_H)])
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        clock.shift(0)


LASTING: dict[str, dict[str, Act]] = {
    "database": {
        "database restarted": restarted,
        "database locked for over a minute": locked_for_longer_than_a_statement_may_take,
    },
    "worker": {"worker's clock jumped": clock_jumped},
}


def with_lasting(families: Mapping[str, dict[str, Act]]) -> dict[str, dict[str, Act]]:
    """Add them to what can happen."""
    return {family: kinds | LASTING.get(family, {}) for family, kinds in families.items()}
