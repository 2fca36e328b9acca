"""What a reader sees is decided by whom it reads for, whatever its statements ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from tests.rollup import ROLL_UP

from meter.db.balances import Balances
from meter.db.membership import Membership
from meter.db.pool import open_pool
from meter.db.reader import NOBODY, Reader, ReaderConnections, reading_for
from meter.db.statements import statement
from meter.db.usage_history import EARLIEST, LATEST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import PostgresServers

ROLES = {
    ("acme", "olga"): "owner",
    ("acme", "adam"): "admin",
    ("acme", "ann"): "member",
    ("acme", "bob"): "member",
    ("globex", "gus"): "owner",
    ("globex", "bob"): "member",
}
MEMBERS = "".join(
    f"select add_organization_member('{org_id}', '{user_id}', '{role}');"
    for (org_id, user_id), role in ROLES.items()
)
SEED = f"""
select create_organization('acme'), create_organization('globex');
{MEMBERS}
select add_credits_to_pool('acme', 100), add_credits_to_pool('globex', 100);
select start_subscription('acme', 'platform'), start_subscription('globex', 'byok');
select allocate_credits_to_user('acme', 'ann', 50), allocate_credits_to_user('acme', 'bob', 40),
       allocate_credits_to_user('acme', 'left', 1), allocate_credits_to_user('globex', 'bob', 30);
select deduct_credits('acme', 'ann', 1, 'llm'), deduct_credits('acme', 'bob', 2, 'llm'),
       deduct_credits('globex', 'bob', 3, 'llm');
update usage_rollup_state set waits_for = '{{}}';
"""

READERS = [
    Reader("olga", "acme"),
    Reader("adam", "acme"),
    Reader("ann", "acme"),
    Reader("ann"),
    Reader("bob", "acme"),
    Reader("bob", "globex"),
    Reader("bob"),
    Reader("gus", "acme"),
    Reader("left", "acme"),
    Reader("left"),
    Reader("root", sees_everything=True),
    Reader("root", "acme", sees_everything=True),
    Reader(org_id="globex", sees_everything=True),
    Reader("root", "nowhere", sees_everything=True),
    NOBODY,
]

#: Tables of organizations that a reader may select from, and who sees a row of one: every member of the
#: organization, the user it is of and who sees everyone's, or only the latter. Those marked with a star show
#: something only to who reads one organization.
SEEN_BY = {
    "organizations": "members",
    "organization_members": "members",
    "organization_credit_pools": "members",
    "organization_subscriptions": "members",
    "rolled_up_organizations": "members*",
    "user_credit_allocations": "users",
    "credit_usage_attribution": "users*",
    "readable_usage_of_user": "users*",
    "readable_usage_by_service": "admins*",
    "readable_usage_by_user": "admins*",
    "org_billing_history": "admins*",
}
#: Every table and view that a reader may select from and that is of organizations, with its columns for them.
OF_ORGANIZATIONS = """
select c.relname as name, c.relkind = 'v' as is_view, c.reloptions as options, c.relrowsecurity as secured,
       case c.relname when 'organizations' then 'id' else 'org_id' end as org_column,
       case when exists (select from pg_attribute u where u.attrelid = c.oid and u.attname = 'user_id')
            then 'user_id' else 'null' end as user_column
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v', 'p', 'm')
  and has_table_privilege('meter_reader', c.oid, 'select')
  -- Keys are asked for by their digest, before it is known whom for.
  and c.relname <> 'api_keys'
  and (c.relname = 'organizations'
       or exists (select from pg_attribute o where o.attrelid = c.oid and o.attname = 'org_id'))
order by 1
"""


@pytest.fixture(scope="module")
async def dsn(postgres_servers: PostgresServers) -> AsyncIterator[str]:
    async with postgres_servers.database() as fresh:
        owner = await asyncpg.connect(fresh.dsn)
        await owner.execute(SEED)
        while await owner.fetchval(ROLL_UP) is not None:
            pass
        await owner.close()
        yield fresh.dsn


@pytest.fixture
async def owner(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def connections(dsn: str) -> AsyncIterator[ReaderConnections]:
    """A single connection, which all readers take in turns."""
    async with ReaderConnections(
        await open_pool(dsn, "meter_reader", max_connections=1, read_only=True)
    ) as opened:
        yield opened


def sees(reader: Reader, level: str, org_id: str, user_id: str | None) -> bool:
    """Who sees what, said once more."""
    role = ROLES.get((org_id, reader.user_id))
    if reader.org_id not in ("", org_id) or (role is None and not reader.sees_everything):
        return False
    if level.endswith("*") and not reader.org_id:
        return False
    everyones = reader.sees_everything or (role in ("admin", "owner") and reader.org_id != "")
    return (
        everyones or level.startswith("members") or (level.startswith("users") and user_id == reader.user_id)
    )


def rows_of(relation: asyncpg.Record) -> str:
    return (
        f"select {relation['org_column']}::text, {relation['user_column']}::text from {relation['name']} "
        "order by 1, 2"
    )


async def test_every_table_of_organizations_has_its_rows_guarded(owner: asyncpg.Connection) -> None:
    relations = await owner.fetch(OF_ORGANIZATIONS)
    tables = {of["name"] for of in relations if not of["is_view"]}
    views = {of["name"]: of["options"] or [] for of in relations if of["is_view"]}
    assert tables | {name for name in views if name.startswith("readable_")} == set(SEEN_BY)
    assert [of["name"] for of in relations if not of["is_view"] and not of["secured"]] == []
    assert [
        name
        for name, options in views.items()
        if "security_invoker=true" not in options and not name.startswith("readable_")
    ] == []
    assert await owner.fetchval("select count(*) from usage_by_user") > 0


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: " ".join(filter(None, reader.settings())))
async def test_without_a_condition_a_reader_sees_its_own_rows_and_no_others(
    reader: Reader, owner: asyncpg.Connection, connections: ReaderConnections
) -> None:
    for relation in await owner.fetch(OF_ORGANIZATIONS):
        everything = [tuple(row) for row in await owner.fetch(_unguarded(relation))]
        with reading_for(reader):
            seen = [tuple(row) for row in await connections.fetch(rows_of(relation))]
        if relation["name"] in SEEN_BY:
            assert seen == _visible(reader, relation, everything), relation["name"]
        else:
            level = "users" if relation["user_column"] == "user_id" else "members"
            assert all(sees(reader, level, *row) for row in seen), relation["name"]
        assert everything


def _unguarded(relation: asyncpg.Record) -> str:
    # As the owner, for whom the conditions of these views would hold too.
    return rows_of(relation).replace("readable_", "")


def _visible(reader: Reader, relation: asyncpg.Record, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    level = SEEN_BY[relation["name"]]
    if relation["name"] == "organization_members" and not reader.org_id:
        # Who else is in all the organizations of a user is asked of one at a time.
        level = "users"
    return [row for row in rows if sees(reader, level, *row)]


async def test_two_readers_on_one_connection_see_each_only_their_own(connections: ReaderConnections) -> None:
    every_pool = "select array_agg(org_id order by org_id) from organization_credit_pools"
    gateway, membership = Balances(connections), Membership(connections)
    with reading_for(Reader("olga", "acme")):
        assert await connections.fetchval(every_pool) == ["acme"]
        with pytest.raises(asyncpg.DivisionByZeroError):
            await connections.fetchval("select 1 / 0")
        with reading_for(Reader("gus")):
            assert await connections.fetchval(every_pool) == ["globex"]
            assert await gateway.credit_pool("globex")
            assert await gateway.credit_pool("acme") is None
            assert await membership.standing("acme", "gus") is None
        assert await connections.fetchval(every_pool) == ["acme"]
        assert await gateway.credit_pool("acme")
    assert await connections.fetchval(every_pool) is None
    async with connections.acquire() as nobodys:
        assert await nobodys.fetchval(every_pool) is None


async def test_who_reads_one_organization_does_not_come_to_read_another() -> None:
    key_of_acme = Reader(org_id="acme", sees_everything=True)
    assert key_of_acme.about("acme") == key_of_acme
    assert key_of_acme.about("globex") == NOBODY


async def test_the_control_plane_sees_every_row(dsn: str, owner: asyncpg.Connection) -> None:
    pool = await open_pool(dsn, "meter_admin", max_connections=1)
    for table in (
        "organizations",
        "organization_credit_pools",
        "credit_usage_attribution",
        "org_billing_summary",
    ):
        count = f"select count(*) from {table}"
        assert await pool.fetchval(count) == await owner.fetchval(count) > 0
    await pool.close()


async def test_a_policy_is_asked_once_a_statement_and_leaves_the_index_in_use(
    connections: ReaderConnections,
) -> None:
    sums = (
        "select * from readable_usage_by_user where org_id = $1 and span = 'week' and starts_at >= $2 "
        "and starts_at < $3"
    )
    with reading_for(Reader("olga", "acme")):
        async with connections.transaction() as connection:
            # The tables are too small for an index to be worth it.
            await connection.execute("set local enable_seqscan = off")
            plan = await _plan(connection, sums, "acme", EARLIEST, LATEST)
    assert any("One-Time Filter" in line and "InitPlan 1" in line for line in plan.splitlines())
    (index,) = [line for line in plan.splitlines() if "Index Cond" in line]
    assert "span = " in index


async def test_a_page_asks_its_policy_once_and_reads_no_entry_before_its_place(
    dsn: str, owner: asyncpg.Connection
) -> None:
    newest = await owner.fetchrow(
        "select occurred_at, event_key, entry from credit_usage_attribution where org_id = 'acme' "
        "order by occurred_at desc limit 1"
    )
    connection = await asyncpg.connect(dsn)
    async with connection.transaction():
        # What a superuser alone may have counted; and the table is too small for an index to be worth it.
        await connection.execute("set local track_functions = 'all'; set local enable_seqscan = off")
        await connection.execute("set local role meter_reader")
        page = await connection.fetch(
            statement("read_usage_page"),
            *Reader("olga", "acme").settings(),
            *(None, None, None, EARLIEST, *newest, LATEST, 1, 1_500),
        )
        read = await connection.fetchrow(
            "select seq_scan, idx_tup_fetch from pg_stat_xact_user_tables where relname = $1",
            "credit_usage_attribution",
        )
        asked = await connection.fetch(
            "select funcname, calls from pg_stat_xact_user_functions where funcname like 'reader_%'"
        )
    await connection.close()
    assert len(page) == 1
    assert dict(read) == {"seq_scan": 0, "idx_tup_fetch": 1}
    assert dict(asked) == {"reader_organization": 1, "reader_sees_everyone": 1}


async def _plan(connection: asyncpg.Connection, query: str, *arguments: object) -> str:
    rows = await connection.fetch(f"explain {query}", *arguments)
    return "\n".join(row[0] for row in rows)
