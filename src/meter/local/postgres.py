"""A private PostgreSQL on loopback, with its state in one folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import asyncpg
import psutil

from meter.errors import ConfigurationError
from meter.local.account import make_open_folder, make_private_folder, write_private
from meter.local.child import Child, Command, ServerNotStarted
from meter.local.machine import LOOPBACK, PortBook, machine_memory_bytes
from meter.local.programs import run_program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUPERUSER = "postgres"
DATABASE = "meter"
_MIB = 1024 * 1024
#: PostgreSQL's share of the machine: an eighth, so that it and RabbitMQ take a quarter together; past
#: 2 GiB metering gains nothing.
_MEMORY_SHARE = 8
_MEMORY_MAX_BYTES = 2048 * _MIB
_MEMORY_MIN_BYTES = 64 * _MIB
#: Replaying the log after a crash can take a while.
_READY_SECONDS = 120.0
_POLL_SECONDS = 0.05


class PostgresServer:
    """A PostgreSQL of meter's own; durability is never switched off."""

    def __init__(self, folder: Path, bin_dir: Path, *, libraries: Mapping[str, str] | None = None) -> None:
        """Name the server; nothing is started yet.

        Args:
            folder: everything it keeps; made when absent. The account of the servers must be able to pass
                through its parents.
            bin_dir: the folder with ``initdb`` and ``postgres``, of version 15 or newer.
            libraries: environment variables that let these find their libraries, where they need any.
        """
        self.folder = folder
        self.port = 0
        self._port_book = PortBook(folder / "ports.json")
        self._bin_dir = bin_dir
        self._environment = _environment() | dict(libraries or {})
        self._data = folder / "data"
        self._child: Child | None = None

    @property
    def child(self) -> Child:
        """The running server."""
        return self.running_child()

    def running_child(self) -> Child:
        """The child that runs at the moment; another after a restart."""
        assert self._child is not None  # noqa: S101 - asked for after start only
        return self._child

    def dsn(self, database: str = DATABASE) -> str:
        """The superuser's address of a database; contains the password."""
        password = quote(self._password_file.read_text(), safe="")
        return f"postgresql://{SUPERUSER}:{password}@{LOOPBACK}:{self.port}/{quote(database)}"

    async def start(self) -> None:
        """Create the cluster when there is none, start the server and wait until it answers.

        Raises:
            ConfigurationError: the folder holds the data of another major version.
            ServerNotStarted: the server ended or did not answer in time; the message ends with its own words.
        """
        make_open_folder(self.folder)
        if not self._data.exists():
            await self._create_cluster()
        await self._check_version()
        if self.port == 0:
            self.port = self._port_book.assign(["postgres"])["postgres"]
        command = Command(
            name="postgres",
            folder=self.folder,
            arguments=[str(self._bin_dir / "postgres"), "-D", str(self._data), *self._settings()],
            environment=self._environment,
            # Fast shutdown: sessions are ended, everything is written.
            stop_signal=signal.SIGINT,
            demote=True,
        )
        self._child = Child(command)
        try:
            await self._remove_stale_lock()
            await self._child.start()
            await self._make_ready()
        except BaseException:
            await self._child.stop()
            raise

    async def restart(self) -> None:
        """Start again on the same port, running or not.

        Raises:
            ServerNotStarted: as of :meth:`start`.
        """
        await self.stop()
        await self.start()

    async def stop(self) -> None:
        """Stop the server and wait until it has ended."""
        if self._child is not None:
            await self._child.stop()

    @property
    def _password_file(self) -> Path:
        return self.folder / "password"

    def _settings(self) -> list[str]:
        memory = max(_MEMORY_MIN_BYTES, min(_MEMORY_MAX_BYTES, machine_memory_bytes() // _MEMORY_SHARE))
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "password_encryption": "scram-sha-256",
            # The rest of the share is left to sorts and connections.
            "shared_buffers": f"{memory * 3 // 4 // _MIB}MB",
            "effective_cache_size": f"{memory // _MIB}MB",
            "max_connections": "100",
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            # These binaries know pglz only, which takes longer than writing what it saves: settlement over
            # 100,000 organizations was measured to cost the database a third more CPU time.
            "wal_compression": "off",
            # Fewer checkpoints write fewer full pages; so much of the log replays in a minute.
            "max_wal_size": "4GB",
            "checkpoint_timeout": "15min",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        return [part for name, setting in settings.items() for part in ("-c", f"{name}={setting}")]

    async def _create_cluster(self) -> None:
        draft = self.folder / "data.draft"
        await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)
        make_private_folder(draft)
        if not self._password_file.exists():
            write_private(self._password_file, secrets.token_urlsafe(24))
        handed_over = self.folder / "initial-password"
        write_private(handed_over, self._password_file.read_text(), for_server=True)
        try:
            await self._initdb(draft, handed_over)
        finally:
            handed_over.unlink()
        draft.rename(self._data)

    async def _initdb(self, data: Path, password_file: Path) -> None:
        # The C locale sorts by code point, the same on every machine and in every version.
        options = ["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--data-checksums"]
        initdb = await run_program(
            self._bin_dir / "initdb",
            *("-D", str(data), f"--username={SUPERUSER}", f"--pwfile={password_file}", *options),
            environment=self._environment,
            demote=True,
        )
        if initdb.code != 0:
            raise ServerNotStarted(f"PostgreSQL could not be set up in {data}: {'; '.join(initdb.lines)}")

    async def _check_version(self) -> None:
        found = (self._data / "PG_VERSION").read_text().strip()
        asked = await run_program(
            self._bin_dir / "postgres", "--version", environment=self._environment, demote=True
        )
        version = asked.lines[0].split()[2]
        if version.partition(".")[0] != found:
            raise ConfigurationError(
                f"{self._data} was written by PostgreSQL {found} and this is {version}; "
                "start empty with: meter up --fresh, or move the data with pg_upgrade"
            )

    async def _remove_stale_lock(self) -> None:
        """Remove ``postmaster.pid`` of a killed server.

        PostgreSQL itself is fooled when the number belongs to another process by now.
        """
        lock = self._data / "postmaster.pid"
        try:
            pid, _, born = lock.read_text().splitlines()[:3]
        except (OSError, ValueError):
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            holder = psutil.Process(int(pid))
            if holder.name().startswith("postgres") and holder.create_time() <= int(born) + 1:
                holder.send_signal(signal.SIGINT)
                await asyncio.to_thread(holder.wait, _READY_SECONDS)
                return
        lock.unlink(missing_ok=True)

    async def _make_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                connection = await asyncpg.connect(self.dsn("postgres"), timeout=5)
                break
            except (OSError, TimeoutError, asyncpg.CannotConnectNowError):
                if not self.child.running or time.monotonic() > deadline:
                    raise ServerNotStarted(f"PostgreSQL did not start: {self.child.complaint()}") from None
            await asyncio.sleep(_POLL_SECONDS)
        try:
            if not await connection.fetchval("select 1 from pg_database where datname = $1", DATABASE):
                await connection.execute(f"create database {DATABASE}")
        finally:
            await connection.close()


def _environment() -> dict[str, str]:
    # PG… variables of the caller would change what the server does.
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PG", "LC_"))}
    return kept | {"LC_ALL": "C"}
