"""The sums of usage held to the ledger: the query that finds a sum that is wrong."""

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
