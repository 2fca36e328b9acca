"""Seeded databases to copy from, each made when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
from yarl import URL

from bench.workload import ORGANIZATIONS, USERS_EACH
from meter.db.migrate import migrate

if TYPE_CHECKING:
    from meter.local.postgres import PostgresServer

SQL = Path(__file__).with_name("sql")
_RUN = "bench_run"
#: Migrated, which takes a second or two; what is seeded begins as a copy.
_EMPTY = "bench_empty"


@dataclass(frozen=True, slots=True)
class Seed:
    """What a database begins with.

    Attributes:
        name: of the database that is copied.
        organizations: how many, each with :data:`bench.workload.USERS_EACH` users.
        change: a file of ``bench/sql`` that changes what they may spend; they never run out without.
    """

    name: str
    organizations: int = ORGANIZATIONS
    change: str | None = None


USUAL = Seed("bench_usual")


class Databases:
    """The databases of a server.

    Args:
        server: the running server.
        in_haste: whether what a run leaves to be written, and its database, stay: a checkpoint takes half a
            second, and removing a database is one, too.
    """

    def __init__(self, server: PostgresServer, *, in_haste: bool = False) -> None:
        self._server = server
        self._in_haste = in_haste
        #: What there is to copy from.
        self._seeded: set[str] = set()
        self._added = 0

    async def fresh(self, seed: Seed = USUAL) -> str:
        """Replace the database of the run before by a seeded one; returns its address."""
        return await self.add(_RUN, seed)

    async def add(self, name: str, seed: Seed = USUAL) -> str:
        """Make a seeded database, in place of one of the same name.

        The copy ends with a checkpoint, so that no run pays for the log of another.

        Args:
            name: of the new database.
            seed: what it begins with.

        Returns:
            Its address, as superuser.
        """
        await self.prepare(seed)
        await self.drop(name)
        if self._in_haste:
            self._added += 1
            name = f"{name}_{self._added}"
        await self._administer(f"create database {name} template {seed.name}")
        await self.checkpoint()
        return self._server.dsn(name)

    async def prepare(self, seed: Seed = USUAL) -> None:
        """Make a database to copy from, unless it is there."""
        if seed.name not in self._seeded:
            await self._seed(seed)
            self._seeded.add(seed.name)

    async def copy(self, dsn: str, name: str) -> str:
        """Make a database like another one that nobody is connected to; returns its address."""
        await self._administer(f"create database {name} template {URL(dsn).name}")
        return self._server.dsn(name)

    async def drop(self, name: str = _RUN) -> None:
        """Remove a database, where it is there."""
        if not self._in_haste:
            await self._administer(f"drop database if exists {name} with (force)")

    async def forget(self, seed: Seed) -> None:
        """Remove a database to copy from, once no run needs it any more."""
        if not self._in_haste:
            self._seeded.discard(seed.name)
        await self.drop(seed.name)

    async def checkpoint(self) -> None:
        """Write what the runs before have left to be written."""
        if not self._in_haste:
            await self._administer("checkpoint")

    async def checkpoints(self) -> int:
        """Tell how many checkpoints there were."""
        connection = await asyncpg.connect(self._server.dsn("postgres"))
        try:
            began: int = await connection.fetchval(
                "select num_timed + num_requested from pg_stat_checkpointer"
            )
            return began
        finally:
            await connection.close()

    async def _seed(self, seed: Seed) -> None:
        if not self._seeded:
            await self._administer(f"create database {_EMPTY}")
            await migrate(self._server.dsn(_EMPTY))
            self._seeded.add(_EMPTY)
        dsn = self._server.dsn(seed.name)
        await self._administer(f"create database {seed.name} template {_EMPTY}")
        await execute(dsn, (SQL / "seed.sql").read_text(), seed.organizations, USERS_EACH)
        if seed.change is not None:
            await execute(dsn, (SQL / seed.change).read_text())
        await execute(dsn, "vacuum analyze")

    async def _administer(self, statement: str) -> None:
        await execute(self._server.dsn("postgres"), statement)


async def execute(dsn: str, statement: str, *arguments: object) -> None:
    """Run a statement over a connection of its own."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()


async def value(dsn: str, query: str, *arguments: object) -> float:
    """Ask for one number over a connection of its own."""
    connection = await asyncpg.connect(dsn)
    try:
        found: float = await connection.fetchval(query, *arguments)
    finally:
        await connection.close()
    return found
