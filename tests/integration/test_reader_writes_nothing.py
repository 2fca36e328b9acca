"""``meter_reader`` is refused every write, attempted directly on everything that the catalogue knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from meter.db.pool import open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import PostgresServers

#: Notes when a key was last used, at most once a minute: the only thing that the role may change.
MAY_WRITE = {"note_api_key_use"}

TABLES = """
select c.relname as name, c.relkind::text as kind,
       (select quote_ident(a.attname) from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          and a.attgenerated = '' and a.attidentity = ''
        order by a.attnum limit 1) as writable
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S')
order by 1
"""
FUNCTIONS = """
select p.proname as name, has_function_privilege('meter_reader', p.oid, 'execute') as granted,
       p.proname || '(' || coalesce((
           select string_agg('null::' || format_type(type, null), ', ' order by no)
           from unnest(p.proargtypes) with ordinality as argument (type, no)
       ), '') || ')' as call
from pg_proc p
-- A strict function is not even called for nulls, and none of them writes.
where p.pronamespace = 'public'::regnamespace and p.prokind in ('f', 'p', 'w') and not p.proisstrict
order by 1
"""


@pytest.fixture(scope="module")
async def dsn(postgres_servers: PostgresServers) -> AsyncIterator[str]:
    async with postgres_servers.database() as fresh:
        yield fresh.dsn


@pytest.fixture
async def reader(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Without the read-only transactions of ``meter api``: privileges alone must do."""
    pool = await open_pool(dsn, "meter_reader", max_connections=1)
    async with pool.acquire() as connection:
        assert await connection.fetchval("show transaction_read_only") == "off"
        yield connection
    await pool.close()


@pytest.fixture
async def owner(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def test_every_table_view_and_sequence_refuses_every_write(
    reader: asyncpg.Connection, owner: asyncpg.Connection
) -> None:
    found = await owner.fetch(TABLES)
    assert {"credit_usage_attribution", "org_billing_summary"} <= {relation["name"] for relation in found}
    for relation in found:
        name, column = relation["name"], relation["writable"]
        if relation["kind"] == "S":
            attempts = [f"select nextval('{name}')", f"select setval('{name}', 1)"]
        else:
            attempts = [
                f"insert into {name} default values",
                f"update {name} set {column} = {column}",
                f"delete from {name}",
                f"select * from {name} for update",
            ]
        if relation["kind"] in ("r", "p"):
            attempts += [f"truncate {name}", f"drop table {name}"]
            attempts += [f"alter table {name} disable row level security"]
        for attempt in attempts:
            with pytest.raises(
                (asyncpg.InsufficientPrivilegeError, asyncpg.ObjectNotInPrerequisiteStateError)
            ):
                await reader.execute(attempt)


async def test_no_function_writes_for_the_reader(
    reader: asyncpg.Connection, owner: asyncpg.Connection
) -> None:
    found = await owner.fetch(FUNCTIONS)
    granted = {function["name"] for function in found if function["granted"]}
    assert {"has_sufficient_credits", "read_credit_pool"} <= granted
    assert {"add_credits_to_pool", "settle_usage", "create_organization"} <= {
        function["name"] for function in found if not function["granted"]
    }
    for function in found:
        if not function["granted"]:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await reader.execute(f"select {function['call']}")
        elif function["name"] not in MAY_WRITE:
            assert not await _writes(reader, f"select * from {function['call']}"), function["name"]


async def _writes(reader: asyncpg.Connection, call: str) -> bool:
    """Whether a call changes anything: only a transaction that does gets a number."""
    transaction = reader.transaction()
    await transaction.start()
    try:
        await reader.fetch(call)
        return await reader.fetchval("select pg_current_xact_id_if_assigned()") is not None
    except asyncpg.PostgresError:
        return False
    finally:
        await transaction.rollback()


async def test_the_schema_takes_nothing_new_from_the_reader(reader: asyncpg.Connection) -> None:
    for attempt in (
        "create table mine (id integer)",
        "create view mine as select 1",
        "create function mine() returns integer language sql as 'select 1'",
        "set session_replication_role = replica",
        "set row_security = off; select * from organizations",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.execute(attempt)
