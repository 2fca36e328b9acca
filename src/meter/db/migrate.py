"""``meter migrate``: brings a database to the schema of this version, as the role that owns it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from meter import __version__
from meter.db.schema import definitions, migrations
from meter.db.servers import Servers
from meter.db.statements import statement
from meter.errors import MeterError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from meter.db.reader import ReaderConnections

#: Of the advisory lock that lets one migration run at a time: the bytes of "meter".
_LOCK = 0x6D65746572


class SchemaTooNew(MeterError):
    """The database was migrated by a newer version of meter; update this one."""


async def migrate(dsn: str, *, dry_run: bool = False) -> list[str]:
    """Apply what is missing. Safe to run at any time and by several at once: they take turns.

    Args:
        dsn: the database, as a superuser or as its owner with ``createrole``.
        dry_run: only say what would be done.

    Returns:
        What was (or would be) applied, in order; empty when the schema is current.

    Raises:
        SchemaTooNew: a newer version of meter migrated this database.
        asyncpg.PostgresError: the database refused a step; that step was rolled back.
    """
    servers = Servers(dsn, primary=True)
    connection = await servers.connect(server_settings={"application_name": "meter migrate"})
    try:
        async with _taking_turns(connection):
            applied_versions = await _applied_versions(connection)
            pending = [step for step in migrations() if step.version not in applied_versions]
            stale = bool(pending) or await _definitions_are_stale(connection)
            applied = [f"{step.version:04d}_{step.name}" for step in pending] + ["definitions"] * stale
            if dry_run or not applied:
                return applied
            await _prepare(connection)
            for step in pending:
                await _apply(connection, step.sql, "record_migration", step.version, step.name)
            await _apply(
                connection, definitions().sql, "record_definitions", definitions().checksum, __version__
            )
            return applied
    finally:
        await connection.close()


@asynccontextmanager
async def _taking_turns(connection: asyncpg.Connection) -> AsyncIterator[None]:
    await connection.execute("select pg_advisory_lock($1)", _LOCK)
    try:
        yield
    finally:
        await connection.execute("select pg_advisory_unlock($1)", _LOCK)


async def _applied_versions(connection: asyncpg.Connection) -> set[int]:
    if await connection.fetchval("select to_regclass('public.schema_migrations')") is None:
        return set()
    applied = {row["version"] for row in await connection.fetch(statement("applied_migrations"))}
    known = {step.version for step in migrations()}
    release = await connection.fetchval(statement("definitions_release")) or "0"
    if applied - known or _release_order(release) > _release_order(__version__):
        raise SchemaTooNew(
            f"the database was migrated by meter {release}, this is meter {__version__}; update this one"
        )
    return applied


def _release_order(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split(".") if part.isdigit())


async def _definitions_are_stale(connection: asyncpg.Connection) -> bool:
    if await connection.fetchval("select to_regclass('public.schema_definitions')") is None:
        return True
    checksum: str | None = await connection.fetchval(statement("definitions_checksum"))
    return checksum != definitions().checksum


async def _prepare(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        await connection.execute(statement("prepare_roles"))
    async with connection.transaction():
        await connection.execute("set local role meter_owner")
        await connection.execute(statement("prepare_bookkeeping"))


async def _apply(connection: asyncpg.Connection, sql: str, record: str, *facts: object) -> None:
    """Run a script as the owner and note that it ran, in one transaction."""
    async with connection.transaction():
        await connection.execute("set local role meter_owner")
        # Functions may be stated before those they call; all are there when the transaction ends.
        await connection.execute("set local check_function_bodies = off")
        # A lock on a busy table is given up rather than waited for with everyone queueing behind it.
        await connection.execute("set local lock_timeout = '10s'")
        await connection.execute("set local search_path = public, pg_temp")
        await connection.execute(sql)
        await connection.execute(statement(record), *facts)


async def schema_is_current(pool: asyncpg.Pool | ReaderConnections) -> bool:
    """Whether the database has exactly the schema that this code was written for.

    Args:
        pool: connections of any of meter's roles.

    Returns:
        True when every migration and the current functions, views and privileges are there.

    Raises:
        asyncpg.PostgresError, OSError: the database does not answer.
    """
    try:
        async with pool.acquire(timeout=5) as connection:
            row = await connection.fetchrow(statement("schema_state"))
    except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError):
        return False
    return (
        row is not None
        and row["version"] == migrations()[-1].version
        and row["checksum"] == definitions().checksum
    )
