"""``meter reconcile``: finds every balance that is not the sum of its rows, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

import asyncpg
import pytest
from tests.balances import WRONG_BALANCES

from meter.db.pool import open_pool
from meter.db.reconciliation import Reconciliation
from meter.errors import UnknownOrganization

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import FreshDatabase

#: Two organizations that have charged, overage, unfunded and voided usage, and a reset behind them.
BOOKS = """
select create_organization(id), add_credits_to_pool(id, 100), set_pool_terms(id, true, true, 20),
       allocate_credits_to_user(id, 'alice', 100, p_reset_period => 'daily')
from unnest(array['acme', 'beta']) as id;
select settle_usage((
    select json_agg(json_build_object(
        'org_id', org_id, 'event_key', usage_event_key('tests', number::text), 'event_id', number,
        'source', 'tests', 'user_id', 'alice', 'service_type', 'llm', 'quantity', 1, 'credits', 15,
        'credits_given', true, 'key_source', 'platform', 'metadata', json_build_object()))
    from unnest(array['acme', 'beta']) as org_id, generate_series(1, 12) as number));
update user_credit_allocations set next_reset_date = now();
select reset_allocations();
select fund_waiting_organizations() from generate_series(1, 4);
select void_usage(org_id, id, 'tests', 'a mistake')
from unnest(array['acme', 'beta']) as org_id, unnest(array['1', '7', '12', 'later']) as id;
"""

_POOL = "update organization_credit_pools set {0} = {0} + 7 where org_id = 'acme'"
_USER = "update user_credit_allocations set {0} = {0} + 7 where org_id = 'acme'"
#: Each balance, made wrong by 7.
SABOTAGE = {
    "used": _POOL.format("used_credits"),
    "overage": _POOL.format("overage_credits"),
    "unfunded": _POOL.format("unfunded_credits"),
    "total": _POOL.format("total_credits"),
    "overage_billed": _POOL.format("overage_billed_credits"),
    "allocated": _POOL.format("allocated_credits"),
    "pending_voids": _POOL.format("pending_voids"),
    "used by alice": _USER.format("used_credits"),
}


@pytest.fixture
async def owner(database: FreshDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.dsn)
    for statement in BOOKS.split(";")[:-1]:
        await connection.execute(statement)
    yield connection
    await connection.close()


@pytest.fixture
async def reconciliation(database: FreshDatabase) -> AsyncIterator[Reconciliation]:
    pool = await open_pool(database.dsn, "meter_admin", max_connections=1)
    yield Reconciliation(pool)
    await pool.close()


async def meter(dsn: str, *arguments: str) -> tuple[int, str, str]:
    """Run the command: its exit code, what it printed, and what it complained of."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "meter", *arguments,
        env=os.environ | {"METER_DATABASE_URL": dsn},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_books_that_are_right_have_no_differences(
    owner: asyncpg.Connection, reconciliation: Reconciliation
) -> None:
    kinds = await owner.fetch("select distinct outcome::text from credit_usage_attribution")
    assert {row["outcome"] for row in kinds} == {"charged", "overage", "unfunded", "void"}

    seen: list[tuple[int, int]] = []
    assert await reconciliation.differences(progress=lambda done, of: seen.append((done, of))) == []
    assert await reconciliation.differences("beta") == []
    assert seen == [(seen[0][1], seen[0][1])]


@pytest.mark.parametrize("name", SABOTAGE)
async def test_a_wrong_balance_is_found_and_repaired_with_a_note(
    name: str, owner: asyncpg.Connection, reconciliation: Reconciliation
) -> None:
    before = await owner.fetch("select * from organization_credit_pools order by org_id")
    await owner.execute(SABOTAGE[name])
    balance, _, user = name.partition(" by ")
    user_id = user or None

    found = await reconciliation.differences()

    assert {(each.org_id, each.balance, each.user_id) for each in found} == {("acme", balance, user_id)}
    assert {each.stated - each.found for each in found} == {Decimal(7)}
    assert await reconciliation.differences("acme") == found
    assert await reconciliation.differences("beta") == []
    assert set(await reconciliation.repair("acme", actor="tests")) == set(found)
    assert await reconciliation.differences() == []
    assert await owner.fetch(WRONG_BALANCES, ["acme", "beta"]) == []
    after = await owner.fetch("select * from organization_credit_pools order by org_id")
    assert [_balances(row) for row in after] == [_balances(row) for row in before]
    (note,) = await owner.fetch(
        "select actor, metadata from org_billing_history where event_type = 'balance_repaired'"
    )
    assert (note["actor"], json.loads(note["metadata"])["balance"]) == ("tests", balance)
    assert await reconciliation.repair("acme", actor="tests") == []


def _balances(pool: asyncpg.Record) -> dict[str, object]:
    return {**pool, "updated_at": None, "funding_cursor": None}


async def test_a_history_of_promises_that_does_not_add_up_is_completed(
    owner: asyncpg.Connection, reconciliation: Reconciliation
) -> None:
    await owner.execute(
        "insert into org_billing_history (org_id, event_type, balance, credits, actor) "
        "values ('acme', 'stray', 'allocated', 3, 'tests')"
    )
    (found,) = await reconciliation.differences()
    assert (found.balance, found.stated, found.found) == ("allocated", 100, 103)

    await reconciliation.repair("acme", actor="tests")

    assert await reconciliation.differences() == []
    assert (
        await owner.fetchval("select allocated_credits from organization_credit_pools where org_id = 'acme'")
        == 100
    )


async def test_settlement_does_not_wait_for_it_and_is_not_seen_half_done(
    owner: asyncpg.Connection, reconciliation: Reconciliation, database: FreshDatabase
) -> None:
    """A charge that is not committed is neither waited for nor counted."""
    other = await asyncpg.connect(database.dsn)
    async with asyncio.timeout(30), other.transaction():
        await other.execute("select deduct_credits('acme', 'alice', 5, 'llm')")
        assert await reconciliation.differences() == []
    assert await reconciliation.differences() == []
    await other.close()


async def test_an_unknown_organization_is_told(
    owner: asyncpg.Connection, reconciliation: Reconciliation
) -> None:
    for refused in (reconciliation.differences("ghost"), reconciliation.repair("ghost", actor="tests")):
        with pytest.raises(UnknownOrganization):
            await refused


async def test_the_commands_say_what_they_found_and_did(
    owner: asyncpg.Connection, database: FreshDatabase
) -> None:
    dsn = database.dsn
    assert await meter(dsn, "reconcile") == (0, "every balance is the sum of its rows\n", "")
    await owner.execute(SABOTAGE["used"])

    code, out, _ = await meter(dsn, "reconcile", "--json")
    assert (code, [each["balance"] for each in json.loads(out)["differences"]]) == (1, ["used"])
    code, out, _ = await meter(dsn, "reconcile", "--org", "acme", "--repair")
    assert (code, out.splitlines()[-1]) == (0, "differences: 1; repaired: 1")
    assert (await meter(dsn, "reconcile", "--org", "acme"))[0] == 0
    assert (await meter(dsn, "reconcile", "--org", "ghost"))[::2] == (
        1,
        'Error: organization "ghost" is not known\n',
    )
    assert (await meter(dsn, "reconcile", "--nonsense"))[0] == 2

    void = ("void", "--org", "acme", "--source", "tests", "--reason", "a mistake", "--event")
    code, out, _ = await meter(dsn, *void, "2")
    assert code == 0
    assert out.startswith('event "2" of organization "acme": taken back: 15.000000 credits charged; ')
    assert out.endswith("unfunded events settled with them: 1\n")
    code, out, _ = await meter(dsn, *void, "2", "--json")
    assert (code, json.loads(out)["repeated"], json.loads(out)["credits"]) == (0, True, "15.000000")
    code, out, _ = await meter(dsn, *void, "typo")
    assert (code, "no such event has come" in out) == (0, True)
    code, _, err = await meter(dsn, "void", "--org", "acme", "--reason", "r", "--event", "2")
    assert (code, err.splitlines()[-1]) == (
        2,
        'Error: the id "2" is no UUIDv7 and counts together with its source; add --source',
    )
    assert (await meter(dsn, "reconcile"))[0] == 0
