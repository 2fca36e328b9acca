"""Disks of the database that are full: that of its data, and that of its log, without which it ends.

They are a run of their own. Nobody but root can limit a disk, save one in memory; the million events of the
long run do not fit there, and everything else is to break on real disks.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import asyncpg
from tests.faults import kinds
from tests.faults.watch import ready_workers
from tests.kept_server import kept
from tests.small_disk import DATA, LOG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.faults.kinds import Act
    from tests.faults.plan import Fault
    from tests.faults.scene import Scene

#: What has not happened by then does not.
_DEADLINE_S = 60.0
_POLL_S = 0.1


class NothingBroke(Exception):
    """The disk was full and nobody minded, or had room again and was not used."""


async def data_disk_full(scene: Scene, fault: Fault) -> None:
    """No table can grow; what fits into the room that one has still goes in."""
    async with _full(scene, DATA):
        await _until(lambda: _nobody_is_ready(scene))
        await asyncio.sleep(fault.seconds)


async def log_disk_full(scene: Scene, fault: Fault) -> None:
    """The server ends over its next file of the log, cannot start either, and is started again and again."""
    async with _full(scene, LOG):
        await _until(lambda: _is_down(scene))
        await _until(lambda: _nobody_is_ready(scene))
        await asyncio.sleep(fault.seconds)


@asynccontextmanager
async def _full(scene: Scene, part: str) -> AsyncIterator[None]:
    """Fill a disk; in the end there is room, and the server answers again."""
    disk = scene.disks[part]
    async with kept(scene.postgres):
        try:
            await asyncio.to_thread(disk.fill)
            yield
        finally:
            disk.make_room()
        await _until(lambda: _answers(scene))


async def _until(ask: Callable[[], Awaitable[bool]]) -> None:
    try:
        async with asyncio.timeout(_DEADLINE_S):
            while not await ask():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(_POLL_S)
    except TimeoutError as error:
        raise NothingBroke from error


async def _nobody_is_ready(scene: Scene) -> bool:
    return await ready_workers(scene) == 0


async def _is_down(scene: Scene) -> bool:
    """Whether it is; each time it begins another file of the log until there is no room for one."""
    return not await _does(scene, "select pg_switch_wal()")


async def _answers(scene: Scene) -> bool:
    return await _does(scene, "select")


async def _does(scene: Scene, statement: str) -> bool:
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        async with scene.books.connection() as connection:
            await connection.execute(statement)
        return True
    return False


#: Workers die meanwhile, too.
FAMILIES: dict[str, dict[str, Act]] = {
    "disk": {
        "disk of the database full": data_disk_full,
        "disk of the write-ahead log full": log_disk_full,
    },
    "worker": kinds.FAMILIES["worker"],
}
