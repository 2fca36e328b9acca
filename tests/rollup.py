"""The sums of usage held to the ledger: usage to sum, and the query that finds a sum that is wrong."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator

    from tests.private_servers import FreshDatabase

ORGANIZATIONS = ("acme", "beta", "gamma")
SETUP = """
select create_organization(id), set_pool_terms(id, false), add_credits_to_pool(id, 300)
from unnest(array['acme', 'beta', 'gamma']) as id;
"""

#: Sums that are not what the ledger without the queue adds up to, of organizations whose sums are complete:
#: the table, the organization, and the beginning of the span.
WRONG_SUMS = """
with summed as (
    select usage.*,
           count(*) over (
               partition by usage.org_id, user_id, date_trunc('day', occurred_at, 'UTC')
           ) as entries_of_the_day
    from credit_usage_attribution usage
    join rolled_up_organizations known on known.org_id = usage.org_id and known.is_complete
    where usage.outcome <> 'void'
      and (usage.event_key, usage.entry) not in (select key, entry from queued_usage(usage.org_id))
),
spanned as (
    select summed.*, span, date_bin(length, occurred_at, '2000-01-03Z') as starts_at,
           (extract(epoch from occurred_at - date_bin(length, occurred_at, '2000-01-03Z')) / part) as place
    from summed cross join usage_spans()
),
expected_by_service as (
    select org_id, span, starts_at, service_type, service_name, outcome,
           bit_or(1::bigint << floor(place)::integer) as parts, count(*) as entries,
           count(*) filter (where entry = 0) as events,
           coalesce(sum(quantity) filter (where entry = 0), 0) as quantity, sum(credits_used) as credits,
           coalesce(sum(api_cost) filter (where entry = 0), 0) as api_cost
    from spanned group by 1, 2, 3, 4, 5, 6
),
expected_by_user as (
    select org_id, span, starts_at, user_id, count(*) as entries, count(*) filter (where entry = 0) as events,
           coalesce(sum(credits_used) filter (where outcome in ('charged', 'overage')), 0) as credits,
           coalesce(sum(credits_used) filter (where outcome = 'unfunded'), 0) as unfunded_credits
    from spanned group by 1, 2, 3, 4
),
expected_of_user as (
    select org_id, user_id, span, starts_at, service_type, service_name, outcome, count(*) as entries,
           count(*) filter (where entry = 0) as events,
           coalesce(sum(quantity) filter (where entry = 0), 0) as quantity, sum(credits_used) as credits,
           coalesce(sum(api_cost) filter (where entry = 0), 0) as api_cost
    from spanned
    where span = 'day' or span = 'hour' and entries_of_the_day >= busy_day()
    group by 1, 2, 3, 4, 5, 6, 7
)
select 'usage_by_service' as place, org_id, starts_at
from ((table expected_by_service except table usage_by_service)
      union all (table usage_by_service except table expected_by_service)) as wrong
union all
select 'usage_by_user', org_id, starts_at
from ((table expected_by_user except table usage_by_user)
      union all (table usage_by_user except table expected_by_user)) as wrong
union all
select 'usage_of_user', org_id, starts_at
from ((table expected_of_user except table usage_of_user)
      union all (table usage_of_user except table expected_of_user)) as wrong
"""

#: Sums all that waits, and organizations of any size; one step, to be repeated until it returns null.
ROLL_UP = "select roll_up_usage('0 seconds', p_enough => 1)"

#: Days of a user with so few entries are summed by hours too, so that a test has some of both kinds.
FEW_MAKE_A_DAY_BUSY = """
create or replace function busy_day() returns bigint
language sql immutable security definer set search_path = public, pg_temp as 'select {entries}::bigint';
"""


def batch(chance: random.Random, count: int = 40) -> str:
    """A batch of usage, some of which other batches hold too."""
    events = []
    for _ in range(count):
        number = chance.randrange(3_000)
        events.append(
            {
                "org_id": ORGANIZATIONS[number % 3],
                "event_id": str(number),
                "source": "s",
                "user_id": f"user-{number % 7}",
                "service_type": ("llm", "valuation")[number % 2],
                "service_name": ("full", None, "")[number % 6 // 2],
                "quantity": number % 5,
                "credits": number % 11,
                "credits_given": True,
                "api_cost": 0.5,
                "key_source": "platform",
                "key_source_given": False,
                "metadata": {},
                "occurred_at": f"2026-02-{number % 28 + 1:02}T{number % 24:02}:{number % 60:02}:17.25Z",
            }
        )
    return json.dumps(events)


SETTLE = """
select count(*) from settle_usage((
    select json_agg(event || jsonb_build_object('event_key', usage_event_key('s', event ->> 'event_id')))
    from jsonb_array_elements($1::jsonb) as event))
"""


@asynccontextmanager
async def summed_organizations(database: FreshDatabase) -> AsyncIterator[asyncpg.Pool]:
    """Organizations that soon run short, in a database where 24 entries make a user's day busy."""
    async with asyncpg.create_pool(database.dsn, min_size=0, max_size=8) as pool:
        await pool.execute(SETUP + FEW_MAKE_A_DAY_BUSY.format(entries=24))
        yield pool


async def rolled_up(pool: asyncpg.Pool) -> int:
    """Sum until nothing waits; how many rows were taken off the queue."""
    rows = 0
    while (taken := await pool.fetchval(ROLL_UP)) is not None:
        rows += taken
    return rows
