"""Who may do what in the database: by privileges, not by manners."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from meter.db.pool import Role, open_pool

if TYPE_CHECKING:
    from tests.private_servers import FreshDatabase

ROLES: list[Role] = ["meter_worker", "meter_reader", "meter_admin"]
READS_FOR_SOMEBODY = {"read_credit_pool", "read_role", "read_usage_page"}
#: Reads nothing; the planner puts it into the statement that calls it.
ONLY_COMPUTES = {"usage_columns_of_texts"}


@pytest.mark.parametrize("role", ROLES)
async def test_no_role_can_write_a_table_directly(database: FreshDatabase, role: Role) -> None:
    owner = await asyncpg.connect(database.dsn)
    tables = [
        row["tablename"]
        for row in await owner.fetch("select tablename from pg_tables where schemaname = 'public'")
    ]
    granted = await owner.fetch(
        """
        select table_name, privilege_type from information_schema.role_table_grants
        where grantee in ($1, 'PUBLIC') and table_schema = 'public' and privilege_type <> 'SELECT'
        """,
        role,
    )
    await owner.close()
    assert granted == []
    assert "credit_usage_attribution" in tables
    pool = await open_pool(database.dsn, role, max_connections=1)
    for table in tables:
        for attempt in (f"delete from {table}", f"truncate {table}", f"insert into {table} default values"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await pool.execute(attempt)
    await pool.close()


async def test_only_a_role_that_cannot_log_in_may_change_the_ledger(database: FreshDatabase) -> None:
    owner = await asyncpg.connect(database.dsn)
    rows = await owner.fetch(
        """
        select rolname, rolcanlogin from pg_roles
        where not rolsuper and (has_table_privilege(oid, 'credit_usage_attribution', 'UPDATE')
            or has_table_privilege(oid, 'credit_usage_attribution', 'DELETE'))
        """
    )
    await owner.close()
    assert [tuple(row) for row in rows if row["rolname"] == "meter_owner"] == [("meter_owner", False)]
    # An owner that only migrates may act as meter_owner; no role that a process acts as may.
    assert not {row["rolname"] for row in rows} & {"meter_worker", "meter_reader", "meter_admin"}


async def test_functions_that_write_run_as_the_owner_with_a_fixed_search_path(
    database: FreshDatabase,
) -> None:
    owner = await asyncpg.connect(database.dsn)
    rows = await owner.fetch(
        """
        select proname, prosecdef, proconfig, pg_get_userbyid(proowner) as owner from pg_proc
        where pronamespace = 'public'::regnamespace
          and exists (select 1 from unnest(array['meter_worker', 'meter_reader', 'meter_admin']) as role
                      where has_function_privilege(role, oid, 'execute'))
        """
    )
    everyone = await owner.fetch(
        """
        select p.proname from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
        where p.pronamespace = 'public'::regnamespace and a.grantee = 0
        """
    )
    await owner.close()
    assert {row["proname"] for row in rows} >= {"settle_usage", "deduct_credits", "add_credits_to_pool"}
    for row in rows:
        if row["proname"] in ONLY_COMPUTES:
            continue
        # What only reads for somebody runs with the rights of who reads, so that its rows are guarded.
        assert row["prosecdef"] or row["proname"] in READS_FOR_SOMEBODY, row["proname"]
        assert row["owner"] == "meter_owner"
        assert "search_path=public, pg_temp" in row["proconfig"], row["proname"]
    assert everyone == []


@pytest.mark.parametrize(
    ("role", "call"),
    [
        ("meter_worker", "select add_credits_to_pool('acme', 1)"),
        ("meter_worker", "select * from credit_usage_attribution"),
        ("meter_reader", "select settle_usage('[]')"),
        ("meter_reader", "select deduct_credits('acme', 'alice', 1, 'llm')"),
        ("meter_reader", "select * from idempotency_keys"),
        ("meter_admin", "select settle_usage('[]')"),
        ("meter_admin", "select purge_organization('acme')"),
    ],
)
async def test_a_role_is_refused_what_is_not_its_work(database: FreshDatabase, role: Role, call: str) -> None:
    pool = await open_pool(database.dsn, role, max_connections=1)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute(call)
    await pool.close()
