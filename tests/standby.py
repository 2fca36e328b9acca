"""A primary with a streaming standby that every commit waits for, and what a failover does to them."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from tests.running_worker import until

from meter.local.account import make_open_folder, make_private_folder
from meter.local.machine import LOOPBACK
from meter.local.postgres import PostgresServer
from meter.local.postgres_binaries import postgres_bin_dir
from meter.local.programs import run_program
from meter.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

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

    async def wait_for_standby(self) -> None:
        """From now on nothing is committed that the standby does not have."""
        await execute(self.primary, "alter system set synchronous_standby_names = '*'")
        await execute(self.primary, "select pg_reload_conf()")
        await until(lambda: fetch(self.primary, _SYNCHRONOUS), lambda standbys: standbys == 1)

    async def kill_primary(self) -> None:
        """The machine of the primary is gone."""
        assert self.primary.child.pid is not None
        os.kill(self.primary.child.pid, signal.SIGKILL)
        await self.primary.child.wait()

    async def promote(self) -> None:
        """The standby is the primary from now on."""
        assert await fetch(self.standby, "select pg_promote(true, 30)")


@asynccontextmanager
async def primary_with_standby(folder: Path) -> AsyncIterator[Pair]:
    """Start a primary and its standby; commits do not wait for the standby yet.

    Args:
        folder: of both.
    """
    bin_dir = await postgres_bin_dir(load_settings().cache_dir)
    primary = PostgresServer(folder / "first", bin_dir)
    standby = PostgresServer(folder / "second", bin_dir)
    try:
        await primary.start()
        await _copy(primary, standby, bin_dir)
        await standby.start()
        yield Pair(primary, standby)
    finally:
        await asyncio.gather(primary.stop(), standby.stop())


async def _copy(server: PostgresServer, standby: PostgresServer, bin_dir: Path) -> None:
    make_open_folder(standby.folder)
    shutil.copy(server.folder / "password", standby.folder / "password")
    taken = await run_program(
        bin_dir / "pg_basebackup",
        *("-d", server.dsn("postgres"), "-D", str(make_private_folder(standby.folder / "data"))),
        *("--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf"),
        environment=os.environ | {"LC_ALL": "C"},
        demote=True,
    )
    assert taken.code == 0, taken.lines


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
