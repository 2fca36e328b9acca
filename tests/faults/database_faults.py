"""A database that dies, that ends sessions, that lets nobody write or nobody in."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.plan import Fault
    from tests.faults.scene import Scene

#: The login of the workers, as ``meter.local.logins`` names it.
_LOGIN = "local_worker"


async def stopped_at_once(scene: Scene, fault: Fault) -> None:
    """As ``pg_ctl stop -m immediate`` does: no farewell, the log is replayed at the next start."""
    server = scene.postgres
    assert server.child.pid is not None
    os.kill(server.child.pid, signal.SIGQUIT)
    await server.child.wait()
    with scene.readiness.away("the database"):
        await asyncio.sleep(fault.seconds)
    await server.restart()


async def sessions_ended(scene: Scene, _fault: Fault) -> None:
    await scene.books.end_sessions_of_workers()


async def row_locked(scene: Scene, fault: Fault) -> None:
    """Somebody holds the pool of an organization that is settled all the time."""
    async with scene.books.acme_locked():
        await asyncio.sleep(fault.seconds)


async def read_only(scene: Scene, fault: Fault) -> None:
    """Every session is told, at once, and told when it is over."""
    try:
        await _execute(scene, "alter system set default_transaction_read_only = on")
        await _execute(scene, "select pg_reload_conf()")
        await asyncio.sleep(fault.seconds)
    finally:
        await _execute(scene, "alter system reset default_transaction_read_only")
        await _execute(scene, "select pg_reload_conf()")


async def read_only_sessions(scene: Scene, fault: Fault) -> None:
    """Sessions that begin now cannot write for as long as they last, which is longer than the fault."""
    try:
        await _execute(scene, f"alter role {_LOGIN} set default_transaction_read_only = on")
        await scene.books.end_sessions_of_workers()
        await asyncio.sleep(fault.seconds)
    finally:
        await _execute(scene, f"alter role {_LOGIN} reset default_transaction_read_only")


async def full_of_connections(scene: Scene, fault: Fault) -> None:
    """Nobody is let in any more, and who was in has to come again."""
    try:
        await _execute(scene, f"alter role {_LOGIN} connection limit 0")
        await scene.books.end_sessions_of_workers()
        with scene.readiness.away("the database"):
            await asyncio.sleep(fault.seconds)
    finally:
        await _execute(scene, f"alter role {_LOGIN} connection limit -1")


async def mend(scene: Scene) -> None:
    """Take back every setting, whichever fault could not do it itself."""
    await _execute(scene, "alter system reset default_transaction_read_only")
    await _execute(scene, "select pg_reload_conf()")
    await _execute(scene, f"alter role {_LOGIN} reset default_transaction_read_only")
    await _execute(scene, f"alter role {_LOGIN} connection limit -1")


async def _execute(scene: Scene, statement: str) -> None:
    async with scene.books.connection() as connection:
        await connection.execute(statement)
