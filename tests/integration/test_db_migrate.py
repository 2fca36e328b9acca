"""``meter migrate`` on every PostgreSQL it supports, by every kind of owner, and what it refuses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from meter.db.migrate import SchemaTooNew, migrate, schema_is_current
from meter.db.pool import open_pool
from meter.db.schema import migrations

if TYPE_CHECKING:
    from tests.private_servers import FreshDatabase, PostgresServers

EVERYTHING = [f"{step.version:04d}_{step.name}" for step in migrations()] + ["definitions"]


async def emptied(database: FreshDatabase) -> str:
    """A database beside the given one, with nothing in it."""
    name = f"{database.name}_empty"
    connection = await asyncpg.connect(database.dsn)
    try:
        await connection.execute(f"create database {name}")
    finally:
        await connection.close()
    return database.server.dsn(name)


async def execute(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def fetchval(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


@pytest.mark.parametrize("version", [15, 17, 18])
async def test_a_charge_works_on_every_supported_postgresql(
    postgres_servers: PostgresServers, version: int
) -> None:
    async with postgres_servers.database(version) as fresh:
        assert str(await fetchval(fresh.dsn, "show server_version")).startswith(str(version))
        await execute(
            fresh.dsn,
            "select create_organization('acme')",
            "select add_credits_to_pool('acme', 100)",
            "select allocate_credits_to_user('acme', 'alice', 60)",
            "select deduct_credits('acme', 'alice', 10.5, 'llm', p_event_id => 'one')",
        )
        assert (
            str(await fetchval(fresh.dsn, "select available_credits from org_billing_summary")) == "89.500000"
        )


async def test_a_dry_run_tells_and_changes_nothing(database: FreshDatabase) -> None:
    dsn = await emptied(database)
    assert await migrate(dsn, dry_run=True) == EVERYTHING
    assert await fetchval(dsn, "select count(*) from pg_tables where schemaname = 'public'") == 0


async def test_migrating_again_changes_nothing(database: FreshDatabase) -> None:
    dsn = await emptied(database)
    assert await migrate(dsn) == EVERYTHING
    assert await migrate(dsn) == []


async def test_several_migrations_at_once_take_turns(database: FreshDatabase) -> None:
    dsn = await emptied(database)
    applied = await asyncio.gather(*(migrate(dsn) for _ in range(4)))
    assert sorted(applied, key=len) == [[], [], [], EVERYTHING]


async def test_changed_definitions_are_stated_anew(database: FreshDatabase) -> None:
    await execute(database.dsn, "update schema_definitions set checksum = 'of an earlier release'")
    assert await migrate(database.dsn) == ["definitions"]


@pytest.mark.parametrize(
    "newer",
    [
        "insert into schema_migrations values (9999, 'of_tomorrow')",
        "update schema_definitions set release = '999.0.0'",
    ],
)
async def test_a_database_newer_than_the_code_is_refused(database: FreshDatabase, newer: str) -> None:
    await execute(database.dsn, newer)
    with pytest.raises(SchemaTooNew, match="update this one"):
        await migrate(database.dsn)


async def test_an_owner_who_is_no_superuser_can_migrate(postgres_servers: PostgresServers) -> None:
    for version in (15, 18):
        async with postgres_servers.database(version) as fresh:
            owner, name = f"owner_{fresh.name}", f"{fresh.name}_owned"
            await execute(
                fresh.dsn,
                f"create role {owner} login createrole password 'only-in-this-test'",
                # The roles are there already, made by somebody else: an owner must be let into them.
                f"grant meter_owner, meter_worker, meter_reader, meter_admin to {owner} with admin option",
                f"create database {name} owner {owner}",
            )
            server = urlsplit(fresh.server.dsn(name))
            host = server.netloc.rpartition("@")[2]
            dsn = urlunsplit(server._replace(netloc=f"{owner}:only-in-this-test@{host}"))
            assert await migrate(dsn) == EVERYTHING
            assert await fetchval(
                dsn, "select tableowner from pg_tables where tablename = 'organizations'"
            ) == ("meter_owner")


async def test_every_process_can_tell_whether_the_schema_is_current(database: FreshDatabase) -> None:
    for role in ("meter_worker", "meter_reader", "meter_admin"):
        pool = await open_pool(database.dsn, role, max_connections=1)
        assert await schema_is_current(pool)
        await pool.close()
    await execute(
        database.dsn,
        "delete from schema_migrations where version = (select max(version) from schema_migrations)",
    )
    pool = await open_pool(database.dsn, "meter_reader", max_connections=1)
    assert not await schema_is_current(pool)
    await pool.close()
