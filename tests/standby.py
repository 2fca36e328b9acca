"""A primary with a streaming standby that every commit waits for, and what a failover does to them."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil
from tests.running_worker import until

from meter.local.account import make_open_folder, make_private_folder
from meter.local.machine import LOOPBACK
from meter.local.postgres import PostgresServer
from meter.local.postgres_binaries import postgres_bin_dir
from meter.local.programs import run_program
from meter.settings import load_settings

if TYPE_CHECKING:
    import signal
    from collections.abc import AsyncIterator
    from pathlib import Path

_ENDS_WITHIN_S = 30.0
_SYNCHRONOUS = "select count(*) from pg_stat_replication where sync_state = 'sync'"


@dataclass
class Pair:
    """Two servers; which of them is the primary changes."""

    primary: PostgresServer = field(repr=False)
    standby: PostgresServer = field(repr=False)

    def dsn(self, login: str | None = None) -> str:
        """The database on whichever server is written to.

        Args:
            login: another login's DSN of the first server; the superuser's where absent.
        """
        parts = urlsplit(login or self.primary.dsn())
        servers = ",".join(f"{LOOPBACK}:{server.port}" for server in (self.primary, self.standby))
        return urlunsplit(
            parts._replace(
                netloc=f"{parts.netloc.rpartition('@')[0]}@{servers}", query="target_session_attrs=read-write"
            )
        )

    async def follow(self) -> None:
        """Make the standby anew from the primary; from now on nothing is committed that it does not have."""
        await self.standby.stop()
        shutil.rmtree(self.standby.folder / "data", ignore_errors=True)
        # The copy has the settings of its original, and as a primary it will have no standby at first.
        await _waits_for(self.primary, "")
        await _copy(self.primary, self.standby)
        await self.standby.start()
        await _waits_for(self.primary, "*")
        await until(self.is_followed, bool)
        # What was committed before is there once something committed now is.
        await execute(self.primary, "select pg_logical_emit_message(true, 'followed', '')")

    async def is_followed(self) -> bool:
        """Whether a standby has everything that is committed."""
        return await fetch(self.primary, _SYNCHRONOUS) == 1

    async def end_primary(self, how: signal.Signals) -> None:
        """The primary ends without a farewell.

        Args:
            how: SIGKILL as when its machine is gone, SIGQUIT as when it is stopped at once.
        """
        assert self.primary.child.pid is not None
        server = psutil.Process(self.primary.child.pid)
        sessions = server.children(recursive=True)
        server.send_signal(how)
        await self.primary.child.wait()
        # Those of a killed server notice by themselves; until then nobody can start on its data.
        _, left = await asyncio.to_thread(psutil.wait_procs, sessions, timeout=_ENDS_WITHIN_S)
        assert not left, f"sessions outlive their server: {left}"

    async def promote(self) -> None:
        """The standby is the primary from now on, and ``standby`` the former one, whatever became of it."""
        await execute(self.standby, "select pg_promote(true, 30)")
        self.primary, self.standby = self.standby, self.primary

    async def bring_back_former(self) -> None:
        """Start the former primary as a second one, which does not wait for a standby."""
        await self.standby.start()
        await _waits_for(self.standby, "")


@asynccontextmanager
async def standby_of(primary: PostgresServer, folder: Path) -> AsyncIterator[Pair]:
    """Give a running server a standby.

    Args:
        primary: that runs.
        folder: of the standby.
    """
    pair = Pair(primary, PostgresServer(folder, await postgres_bin_dir(load_settings().cache_dir)))
    standby = pair.standby
    try:
        await pair.follow()
        yield pair
    finally:
        await standby.stop()


async def _copy(server: PostgresServer, standby: PostgresServer) -> None:
    make_open_folder(standby.folder)
    shutil.copy(server.folder / "password", standby.folder / "password")
    taken = await run_program(
        await postgres_bin_dir(load_settings().cache_dir) / "pg_basebackup",
        *("-d", server.dsn("postgres"), "-D", str(make_private_folder(standby.folder / "data"))),
        *("--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf"),
        environment=os.environ | {"LC_ALL": "C"},
        demote=True,
    )
    assert taken.code == 0, taken.lines


async def _waits_for(server: PostgresServer, standbys: str) -> None:
    await execute(server, f"alter system set synchronous_standby_names = '{standbys}'")
    await execute(server, "select pg_reload_conf()")


async def execute(server: PostgresServer, statement: str) -> None:
    """Let a server do something."""
    connection = await asyncpg.connect(server.dsn())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def fetch(server: PostgresServer, query: str) -> object:
    """Ask a server for one thing."""
    connection = await asyncpg.connect(server.dsn())
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()
