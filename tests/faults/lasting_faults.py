"""Faults of the database that take their time, for runs that have it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from meter.db.pool import COMMAND_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tests.faults.plan import Fault
    from tests.faults.scene import Scene

    Act = Callable[[Scene, Fault], Awaitable[None]]


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


LASTING: dict[str, Act] = {
    "database restarted": restarted,
    "database locked for over a minute": locked_for_longer_than_a_statement_may_take,
}


def with_lasting(families: Mapping[str, dict[str, Act]]) -> dict[str, dict[str, Act]]:
    """Add them to what can happen to the database."""
    return {**families, "database": {**families["database"], **LASTING}}
