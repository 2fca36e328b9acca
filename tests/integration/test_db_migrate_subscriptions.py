"""Migration 0012 over subscriptions of before: nothing of them is lost, and time goes on for them."""

from __future__ import annotations

import calendar
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from tests.older_schema import migrated_to

from meter.db.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import FreshDatabase

#: The functions that the migration replaces by some that take more, as far as their arguments go.
FUNCTIONS = """
create function start_subscription(varchar, text, text, numeric, integer, varchar) returns uuid
language sql as 'select gen_random_uuid()';
create function create_organization(varchar, varchar, varchar, integer, varchar) returns boolean
language sql as 'select true';
create function add_organization_member(varchar, varchar, text, varchar) returns boolean
language sql as 'select true';
"""
#: One of each kind that there could be, in an organization of its own: as which a subscription was started,
#: what an operator may have made of it, and times that are over because nothing ended them.
SUBSCRIPTIONS = """
insert into organization_subscriptions (org_id, plan, monthly_price, billing_cycle, status, trial_ends_at,
    current_period_start, current_period_end, canceled_at, stripe_subscription_id)
values
    ('active', 'platform', 50, 'monthly', 'active', null, now(), now() + interval '1 month', null, 'sub_1'),
    ('long-ago', 'hybrid', 99, 'monthly', 'active', null, '2026-01-31T10:00Z',
        '2026-02-28T10:00Z', null, null),
    ('yearly', 'byok', 300, 'yearly', 'past_due', null, now(), now() + interval '1 year', null, null),
    ('custom', 'hybrid', 12.34, 'custom', 'active', null, now() - interval '400 days', null, null, null),
    ('paused', 'platform', 50, 'monthly', 'paused', null, now() - interval '40 days',
        now() - interval '10 days', null, null),
    ('ended', 'platform', 50, 'monthly', 'canceled', null, now() - interval '40 days',
        now() - interval '10 days', now() - interval '12 days', null),
    ('trial', 'hybrid', 99, 'monthly', 'trialing', now() + interval '10 days', now(),
        now() + interval '1 month', null, null),
    ('trial-over', 'hybrid', 99, 'monthly', 'trialing', now() - interval '3 days', now() - interval '10 days',
        now() + interval '20 days', null, null);
insert into organization_plan_history (org_id, valid_from, plan)
select org_id, current_period_start, plan from organization_subscriptions
"""
ORGANIZATIONS = """
insert into organizations (id, name, display_name)
select id, id, id
from unnest('{active,long-ago,yearly,custom,paused,ended,trial,trial-over}'::text[]) as id;
insert into organization_members (org_id, user_id, role) select id, 'olga', 'owner' from organizations;
insert into organization_credit_pools (org_id) select id from organizations
"""
NEW_COLUMNS = {"version", "cancel_at", "period_anchor"}


async def subscriptions(connection: asyncpg.Connection) -> dict[str, dict[str, Any]]:
    rows = await connection.fetch(
        "select org_id, to_jsonb(s)::text as row from organization_subscriptions s order by org_id"
    )
    return {row["org_id"]: json.loads(row["row"]) for row in rows}


class Migrated:
    """The subscriptions before, and the database after."""

    def __init__(self, before: dict[str, dict[str, Any]], connection: asyncpg.Connection) -> None:
        self.before = before
        self.connection = connection


@pytest.fixture
async def migrated(database: FreshDatabase, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Migrated]:
    dsn = await migrated_to(11, database, monkeypatch, FUNCTIONS)
    connection = await asyncpg.connect(dsn, server_settings={"timezone": "UTC"})
    await connection.execute(ORGANIZATIONS)
    await connection.execute(SUBSCRIPTIONS)
    before = await subscriptions(connection)
    assert (await migrate(dsn))[0] == "0012_subscription_changes"
    # What it knows of types and statements is of before.
    await connection.close()
    connection = await asyncpg.connect(dsn, server_settings={"timezone": "UTC"})
    yield Migrated(before, connection)
    await connection.close()


async def test_a_trial_becomes_a_period_of_its_own_and_all_else_stays(migrated: Migrated) -> None:
    after = await subscriptions(migrated.connection)
    assert after.keys() == migrated.before.keys()
    for org_id, row in migrated.before.items():
        is_trial = row["status"] == "trialing"
        assert after[org_id] == {
            **row,
            "current_period_end": row["trial_ends_at"] if is_trial else row["current_period_end"],
            "version": 1,
            "cancel_at": None,
            "period_anchor": row["trial_ends_at"] if is_trial else row["current_period_start"],
        }
        assert NEW_COLUMNS.isdisjoint(row)


async def test_time_that_went_by_is_made_up_for_once(migrated: Migrated) -> None:
    assert await migrated.connection.fetchval("select advance_subscriptions()") == 2
    assert await migrated.connection.fetchval("select advance_subscriptions()") == 0
    before, after = migrated.before, await subscriptions(migrated.connection)
    changed = {org_id for org_id, row in after.items() if row["version"] == 2}
    assert changed == {"long-ago", "trial-over"}
    tried = after["trial-over"]
    assert (tried["status"], tried["current_period_start"]) == (
        "active",
        before["trial-over"]["trial_ends_at"],
    )
    now = datetime.now(UTC)
    start, end = (
        datetime.fromisoformat(after["long-ago"][name])
        for name in ("current_period_start", "current_period_end")
    )
    assert start <= now < end <= start + timedelta(days=31)
    # It began on a 31st, and so it does again in every month that has one.
    assert [moment.day for moment in (start, end)] == [
        calendar.monthrange(moment.year, moment.month)[1] for moment in (start, end)
    ]
    assert (start.hour, start.minute) == (10, 0)


async def test_they_are_changed_canceled_and_followed_as_new_ones_are(migrated: Migrated) -> None:
    connection = migrated.connection
    for org_id, plan in (("active", "hybrid"), ("yearly", "platform"), ("custom", "byok"), ("trial", "byok")):
        change = "select changed from change_subscription($1, $2::text::uuid, array[1], p_plan => $3)"
        subscription_id = migrated.before[org_id]["id"]
        assert await connection.fetchval(change, org_id, subscription_id, plan) is True
    resume = (
        "select (subscription).status from change_subscription('paused', $1::text::uuid, p_paused => false)"
    )
    assert await connection.fetchval(resume, migrated.before["paused"]["id"]) == "active"
    cancel = "select cancel_at = current_period_end from cancel_subscription('active', $1::text::uuid)"
    assert await connection.fetchval(cancel, migrated.before["active"]["id"]) is True
    assert await connection.fetchval("select plan from start_subscription('ended', 'byok')") == "byok"


async def test_no_function_of_before_is_left_beside_its_successor(migrated: Migrated) -> None:
    rows = await migrated.connection.fetch(
        """
        select proname, count(*) from pg_proc
        where proname in ('start_subscription', 'create_organization', 'add_organization_member')
        group by proname
        """
    )
    assert {row["proname"]: row["count"] for row in rows} == dict.fromkeys(
        ("start_subscription", "create_organization", "add_organization_member"), 1
    )
    assert await migrated.connection.fetchval("select create_organization('new')") is True
    assert await migrated.connection.fetchval("select add_organization_member('new', 'olga')") is True
