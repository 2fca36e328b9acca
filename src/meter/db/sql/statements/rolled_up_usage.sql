-- The usage summary of the read API for organizations whose sums are complete, as meter_reader. It finds the same as
-- read_usage_summary; where the sums are not complete, nothing.

-- name: read_rolled_up_usage
-- Of everyone. $1 organization; $2, $3, $4, $5 spans of the sums: which, their beginnings and ends, and 1 or -1: added or
-- taken away; $6, $7, $8, $9 the same for the time series; $10, $11, $12 moments (and 1 or -1) between which the ledger
-- itself is read; $13 and $14 what the spans cover in all; $15 hour, day, week or month; $16 outcome, service_type, user_id
-- or null; $17 services at most; $18 users, and parts of the time series, at most.
with complete as materialized (
    select from rolled_up_organizations where org_id = $1 and is_complete
),
-- What the sums do not hold: at the edges of the period, and what is in the queue.
entries as (
    select edge.sign, usage.*
    from unnest($10::timestamptz[], $11::timestamptz[], $12::integer[]) as edge (starts_at, ends_at, sign)
    cross join complete
    join credit_usage_attribution usage
      on usage.org_id = $1 and usage.occurred_at >= edge.starts_at and usage.occurred_at < edge.ends_at
    union all
    select 1, usage.*
    from complete
    join credit_usage_attribution usage
      on usage.org_id = $1 and usage.entry = 0
         and usage.event_key = any (array(select key from queued_usage($1) where entry = 0))
         and usage.occurred_at >= $13 and usage.occurred_at < $14
    union all
    select 1, usage.*
    from complete
    cross join (select key, entry from queued_usage($1) where entry <> 0) as moved
    join credit_usage_attribution usage
      on usage.org_id = $1 and usage.event_key = moved.key and usage.entry = moved.entry
         and usage.occurred_at >= $13 and usage.occurred_at < $14
),
unsummed as materialized (
    select sign, date_bin('1 hour', occurred_at, '2000-01-03Z') as starts_at, service_type, service_name, outcome, user_id,
           count(*) as entries, count(*) filter (where entry = 0) as events,
           coalesce(sum(quantity) filter (where entry = 0), 0) as quantity, sum(credits_used) as credits,
           coalesce(sum(api_cost) filter (where entry = 0), 0) as api_cost
    from entries
    group by 1, 2, 3, 4, 5, 6
),
kinds as materialized (
    select service_type, service_name, outcome, sum(sign * entries) as entries, sum(sign * events)::bigint as events,
           sum(sign * quantity) as quantity, sum(sign * credits) as credits, sum(sign * api_cost) as api_cost
    from (
        select piece.sign, sums.service_type, sums.service_name, sums.outcome, sums.entries, sums.events, sums.quantity,
               sums.credits, sums.api_cost
        from unnest($2::text[], $3::timestamptz[], $4::timestamptz[], $5::integer[]) as piece (span, starts_at, ends_at, sign)
        cross join complete
        join usage_by_service sums
          on sums.org_id = $1 and sums.span = piece.span::usage_span
             and sums.starts_at >= piece.starts_at and sums.starts_at < piece.ends_at
        union all
        select sign, service_type, service_name, outcome, entries, events, quantity, credits, api_cost from unsummed
    ) as signed
    group by service_type, service_name, outcome
    having sum(sign * entries) > 0
),
services as (
    select service_type, service_name, sum(events)::bigint as events, sum(quantity) as quantity,
           coalesce(sum(credits) filter (where outcome in ('charged', 'overage')), 0) as credits,
           coalesce(sum(credits) filter (where outcome = 'unfunded'), 0) as unfunded_credits, sum(api_cost) as api_cost
    from kinds
    group by service_type, service_name
),
users as materialized (
    select user_id, sum(sign * events)::bigint as events, sum(sign * credits) as credits,
           sum(sign * unfunded_credits) as unfunded_credits
    from (
        select piece.sign, sums.user_id, sum(sums.entries) as entries, sum(sums.events) as events,
               sum(sums.credits) as credits, sum(sums.unfunded_credits) as unfunded_credits
        from unnest($2::text[], $3::timestamptz[], $4::timestamptz[], $5::integer[]) as piece (span, starts_at, ends_at, sign)
        cross join complete
        join usage_by_user sums
          on sums.org_id = $1 and sums.span = piece.span::usage_span
             and sums.starts_at >= piece.starts_at and sums.starts_at < piece.ends_at
        group by piece.sign, sums.user_id
        union all
        select sign, user_id, sum(entries), sum(events),
               coalesce(sum(credits) filter (where outcome in ('charged', 'overage')), 0),
               coalesce(sum(credits) filter (where outcome = 'unfunded'), 0)
        from unsummed
        group by sign, user_id
    ) as signed
    group by user_id
    having sum(sign * entries) > 0
    order by credits desc, events desc, user_id
    limit $18
),
timed as materialized (
    select date_trunc($15, starts_at, 'UTC') as bucket,
           case $16::text when 'outcome' then outcome::text when 'service_type' then service_type end as split,
           sum(sign * entries) as entries, sum(sign * events) as events,
           coalesce(sum(sign * credits) filter (where outcome in ('charged', 'overage')), 0) as credits,
           coalesce(sum(sign * credits) filter (where outcome = 'unfunded'), 0) as unfunded_credits
    from (
        select piece.sign, sums.starts_at, sums.service_type, sums.outcome, sums.entries, sums.events, sums.credits
        from unnest($6::text[], $7::timestamptz[], $8::timestamptz[], $9::integer[]) as piece (span, starts_at, ends_at, sign)
        cross join complete
        join usage_by_service sums
          on sums.org_id = $1 and sums.span = piece.span::usage_span
             and sums.starts_at >= piece.starts_at and sums.starts_at < piece.ends_at
        union all
        select sign, starts_at, service_type, outcome, entries, events, credits from unsummed
    ) as signed
    group by 1, 2
    having sum(sign * entries) > 0
),
-- Of the users that have a part of their own; empty unless users split the series.
timed_users as materialized (
    select date_trunc($15, starts_at, 'UTC') as bucket, user_id as split,
           sum(sign * entries) as entries, sum(sign * events) as events, sum(sign * credits) as credits,
           sum(sign * unfunded_credits) as unfunded_credits
    from (
        select piece.sign, sums.starts_at, sums.user_id, sums.entries, sums.events, sums.credits, sums.unfunded_credits
        from unnest($6::text[], $7::timestamptz[], $8::timestamptz[], $9::integer[]) as piece (span, starts_at, ends_at, sign)
        join usage_by_user sums
          on sums.org_id = $1 and sums.span = piece.span::usage_span
             and sums.starts_at >= piece.starts_at and sums.starts_at < piece.ends_at
             and sums.user_id = any (array(select user_id from users))
        where $16 = 'user_id'
        union all
        select sign, starts_at, user_id, entries, events, case when outcome in ('charged', 'overage') then credits else 0 end,
               case when outcome = 'unfunded' then credits else 0 end
        from unsummed
        where $16 = 'user_id' and user_id in (select user_id from users)
    ) as signed
    group by 1, 2
    having sum(sign * entries) > 0
),
named_splits as (
    select split
    from timed
    where split is not null
    group by split
    order by sum(credits) desc, sum(events) desc, split
    limit $18
),
series as (
    select bucket, case when split in (select split from named_splits) then split end as split,
           sum(entries) as entries, sum(events) as events, sum(credits) as credits, sum(unfunded_credits) as unfunded_credits
    from timed
    group by 1, 2
    union all
    select bucket, split, entries, events, credits, unfunded_credits from timed_users
    union all
    -- Everyone's less theirs is that of the others.
    select bucket, null, -entries, -events, -credits, -unfunded_credits from timed_users
)
select 'complete' as part, null as name, null as detail, null::timestamptz as bucket, 0 as events, 0::numeric as quantity,
       0::numeric as credits, 0::numeric as unfunded_credits, 0::numeric as api_cost
from complete
union all
select 'outcome', outcome::text, null, null, sum(events)::bigint, sum(quantity), sum(credits),
       coalesce(sum(credits) filter (where outcome = 'unfunded'), 0), sum(api_cost)
from kinds group by outcome
union all
(select 'service', service_type, service_name, null, events, quantity, credits, unfunded_credits, api_cost
 from services order by credits desc, events desc, service_type, service_name limit $17)
union all
(select 'user', user_id, null, null, events, null, credits, unfunded_credits, null
 from users order by credits desc, events desc, user_id)
union all
(select 'series', split, null, bucket, sum(events)::bigint, null, sum(credits), sum(unfunded_credits), null
 from series group by bucket, split having sum(entries) > 0 order by split nulls last, bucket);

-- name: read_rolled_up_usage_of_user
-- Of one user; spans are days. $1 organization; $2 user; $3, $4, $5 beginnings and ends of spans and 1 or -1; $6, $7, $8
-- moments (and 1 or -1) between which the ledger itself is read; $9 and $10 what the spans cover in all; $11 day, week or
-- month; $12 outcome, service_type, user_id or null; $13 services at most; $14 parts of the time series at most.
with complete as materialized (
    select from rolled_up_organizations where org_id = $1 and is_complete
),
entries as (
    select edge.sign, usage.*
    from unnest($6::timestamptz[], $7::timestamptz[], $8::integer[]) as edge (starts_at, ends_at, sign)
    cross join complete
    join credit_usage_attribution usage
      on usage.org_id = $1 and usage.user_id = $2
         and usage.occurred_at >= edge.starts_at and usage.occurred_at < edge.ends_at
    union all
    select 1, usage.*
    from complete
    join credit_usage_attribution usage
      on usage.org_id = $1 and usage.entry = 0
         and usage.event_key = any (array(select key from queued_usage($1) where entry = 0))
         and usage.user_id = $2 and usage.occurred_at >= $9 and usage.occurred_at < $10
    union all
    select 1, usage.*
    from complete
    cross join (select key, entry from queued_usage($1) where entry <> 0) as moved
    join credit_usage_attribution usage
      on usage.org_id = $1 and usage.event_key = moved.key and usage.entry = moved.entry
         and usage.user_id = $2 and usage.occurred_at >= $9 and usage.occurred_at < $10
),
sums as materialized (
    select date_trunc($11, starts_at, 'UTC') as bucket, service_type, service_name, outcome,
           sum(sign * entries) as entries, sum(sign * events) as events, sum(sign * quantity) as quantity,
           sum(sign * credits) as all_credits,
           coalesce(sum(sign * credits) filter (where outcome in ('charged', 'overage')), 0) as credits,
           coalesce(sum(sign * credits) filter (where outcome = 'unfunded'), 0) as unfunded_credits,
           sum(sign * api_cost) as api_cost
    from (
        select piece.sign, sums.starts_at, sums.service_type, sums.service_name, sums.outcome, sums.entries, sums.events,
               sums.quantity, sums.credits, sums.api_cost
        from unnest($3::timestamptz[], $4::timestamptz[], $5::integer[]) as piece (starts_at, ends_at, sign)
        cross join complete
        join usage_of_user sums
          on sums.org_id = $1 and sums.user_id = $2
             and sums.starts_at >= piece.starts_at and sums.starts_at < piece.ends_at
        union all
        select sign, date_bin('1 day', occurred_at, '2000-01-03Z'), service_type, service_name, outcome, count(*),
               count(*) filter (where entry = 0), coalesce(sum(quantity) filter (where entry = 0), 0), sum(credits_used),
               coalesce(sum(api_cost) filter (where entry = 0), 0)
        from entries
        group by 1, 2, 3, 4, 5
    ) as signed
    group by 1, 2, 3, 4
    having sum(sign * entries) > 0
),
timed as materialized (
    select bucket, case $12::text when 'outcome' then outcome::text when 'service_type' then service_type
                                  when 'user_id' then $2 end as split,
           sum(events) as events, sum(credits) as credits, sum(unfunded_credits) as unfunded_credits
    from sums
    group by 1, 2
),
named_splits as (
    select split
    from timed
    where split is not null
    group by split
    order by sum(credits) desc, sum(events) desc, split
    limit $14
)
select 'complete' as part, null as name, null as detail, null::timestamptz as bucket, 0 as events, 0::numeric as quantity,
       0::numeric as credits, 0::numeric as unfunded_credits, 0::numeric as api_cost
from complete
union all
select 'outcome', outcome::text, null, null, sum(events)::bigint, sum(quantity), sum(all_credits), sum(unfunded_credits),
       sum(api_cost)
from sums group by outcome
union all
(select 'service', service_type, service_name, null, sum(events)::bigint, sum(quantity), sum(credits), sum(unfunded_credits),
        sum(api_cost)
 from sums group by service_type, service_name
 order by sum(credits) desc, sum(events) desc, service_type, service_name limit $13)
union all
select 'user', $2, null, null, sum(events)::bigint, null, sum(credits), sum(unfunded_credits), null
from sums having count(*) > 0
union all
(select 'series', case when split in (select split from named_splits) then split end, null, bucket,
        sum(events)::bigint, null, sum(credits), sum(unfunded_credits), null
 from timed group by 2, bucket order by 2 nulls last, bucket);
