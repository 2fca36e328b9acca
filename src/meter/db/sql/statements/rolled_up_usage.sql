-- The usage summary of everyone, for organizations whose sums are complete, as meter_reader. It finds the same as
-- read_usage_summary; where the sums are not complete, nothing.

-- name: read_rolled_up_usage
-- Of everyone. $1 organization; $2, $3, $4, $5 spans of the sums: which, their beginnings and ends, and 1 or -1: added or
-- taken away; $6, $7, $8, $9 the same for the time series; $10, $11, $12 and $13, $14, $15 moments (and 1 or -1) between
-- which the ledger itself is read; $16 and $17 what the spans cover in all; $18 hour, day, week or month; $19 outcome,
-- service_type, user_id or null; $20 services at most; $21 users, and parts of the time series, at most.
with complete as materialized (
    select from rolled_up_organizations where org_id = $1 and is_complete
),
-- What the sums do not hold: at the edges of the period, and what is in the queue.
entries as (
    select $12::integer as sign, usage.*
    from complete
    join credit_usage_attribution usage
      on usage.org_id = $1 and usage.occurred_at >= $10 and usage.occurred_at < $11
    union all
    select $15::integer, usage.*
    from complete
    join credit_usage_attribution usage
      on usage.org_id = $1 and usage.occurred_at >= $13 and usage.occurred_at < $14
    union all
    select 1, usage.*
    from complete
    join credit_usage_attribution usage
      on usage.org_id = $1 and usage.entry = 0
         and usage.event_key = any (array(select key from queued_usage($1) where entry = 0))
         and usage.occurred_at >= $16 and usage.occurred_at < $17
    union all
    select 1, usage.*
    from complete
    cross join (select key, entry from queued_usage($1) where entry <> 0) as moved
    join credit_usage_attribution usage
      on usage.org_id = $1 and usage.event_key = moved.key and usage.entry = moved.entry
         and usage.occurred_at >= $16 and usage.occurred_at < $17
),
-- Added up once, since three sums are made of it.
unsummed as materialized (
    select sign, date_bin('1 hour', occurred_at, '2000-01-03Z') as starts_at, service_type, service_name, outcome, user_id,
           count(*) as entries, count(*) filter (where entry = 0) as events,
           coalesce(sum(quantity) filter (where entry = 0), 0) as quantity, sum(credits_used) as credits,
           coalesce(sum(api_cost) filter (where entry = 0), 0) as api_cost
    from entries
    where outcome <> 'void'
    group by 1, 2, 3, 4, 5, 6
),
kinds as materialized (
    select service_type, service_name, outcome, sum(sign * entries) as entries, sum(sign * events)::bigint as events,
           sum(sign * quantity) as quantity, sum(sign * credits) as credits, sum(sign * api_cost) as api_cost
    from (
        select piece.sign, sums.service_type, sums.service_name, sums.outcome, sum(sums.entries) as entries,
               sum(sums.events) as events, sum(sums.quantity) as quantity, sum(sums.credits) as credits,
               sum(sums.api_cost) as api_cost
        from unnest($2::text[], $3::timestamptz[], $4::timestamptz[], $5::integer[]) as piece (span, starts_at, ends_at, sign)
        cross join complete
        cross join lateral (
            -- A subquery that is not dissolved: whatever the planner believes of a piece, it is read by its key.
            select * from readable_usage_by_service sums
            where sums.org_id = $1 and sums.span = piece.span::usage_span
              and sums.starts_at >= piece.starts_at and sums.starts_at < piece.ends_at
            offset 0
        ) as sums
        group by 1, 2, 3, 4
        union all
        select sign, service_type, service_name, outcome, sum(entries), sum(events), sum(quantity), sum(credits), sum(api_cost)
        from unsummed
        group by 1, 2, 3, 4
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
        cross join lateral (
            select * from readable_usage_by_user sums
            where sums.org_id = $1 and sums.span = piece.span::usage_span
              and sums.starts_at >= piece.starts_at and sums.starts_at < piece.ends_at
            offset 0
        ) as sums
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
    limit $21
),
timed as materialized (
    -- Sums by hours are the spans themselves then, and truncating thousands would show.
    select case $18 when 'hour' then starts_at else date_trunc($18, starts_at, 'UTC') end as bucket,
           case $19::text when 'outcome' then outcome::text when 'service_type' then service_type end as split,
           sum(sign * entries) as entries, sum(sign * events) as events,
           coalesce(sum(case sign when 1 then credits else -credits end) filter (where outcome in ('charged', 'overage')), 0)
               as credits,
           coalesce(sum(case sign when 1 then credits else -credits end) filter (where outcome = 'unfunded'), 0)
               as unfunded_credits
    from (
        select piece.sign, sums.starts_at, sums.service_type, sums.outcome, sums.entries, sums.events, sums.credits
        from unnest($6::text[], $7::timestamptz[], $8::timestamptz[], $9::integer[]) as piece (span, starts_at, ends_at, sign)
        cross join complete
        cross join lateral (
            select * from readable_usage_by_service sums
            where sums.org_id = $1 and sums.span = piece.span::usage_span
              and sums.starts_at >= piece.starts_at and sums.starts_at < piece.ends_at
            offset 0
        ) as sums
        union all
        select sign, starts_at, service_type, outcome, entries, events, credits from unsummed
    ) as kind
    group by 1, 2
    having sum(sign * entries) > 0
),
-- Of the users that have a part of their own; empty unless users split the series.
timed_users as materialized (
    select case $18 when 'hour' then starts_at else date_trunc($18, starts_at, 'UTC') end as bucket, user_id as split,
           sum(sign * entries) as entries, sum(sign * events) as events,
           sum(case sign when 1 then credits else -credits end) as credits,
           sum(case sign when 1 then unfunded_credits else -unfunded_credits end) as unfunded_credits
    from (
        select piece.sign, sums.starts_at, sums.user_id, sums.entries, sums.events, sums.credits, sums.unfunded_credits
        from unnest($6::text[], $7::timestamptz[], $8::timestamptz[], $9::integer[]) as piece (span, starts_at, ends_at, sign)
        -- Looked up span by span: of users that are not among them an organization may have any number.
        cross join lateral generate_series(
            piece.starts_at, piece.ends_at - interval '1 microsecond',
            case piece.span when 'hour' then interval '1 hour' when 'day' then interval '24 hours' else interval '168 hours' end
        ) as known (starts_at)
        cross join lateral (
            select * from readable_usage_by_user sums
            where sums.org_id = $1 and sums.span = piece.span::usage_span and sums.starts_at = known.starts_at
              and sums.user_id = any (array(select user_id from users))
            offset 0
        ) as sums
        where $19 = 'user_id'
        union all
        select sign, starts_at, user_id, entries, events, case when outcome in ('charged', 'overage') then credits else 0 end,
               case when outcome = 'unfunded' then credits else 0 end
        from unsummed
        where $19 = 'user_id' and user_id in (select user_id from users)
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
    limit $21
),
series as (
    select bucket, case when split in (select split from named_splits) then split end as split,
           sum(events)::bigint as events, sum(credits) as credits, sum(unfunded_credits) as unfunded_credits
    from timed
    where $19 is distinct from 'user_id'
    group by 1, 2
    union all
    select bucket, split, events::bigint, credits, unfunded_credits from timed_users
    union all
    -- Everyone's less theirs is that of the others.
    select everyone.bucket, null, (everyone.events - coalesce(named.events, 0))::bigint,
           everyone.credits - coalesce(named.credits, 0), everyone.unfunded_credits - coalesce(named.unfunded_credits, 0)
    from timed everyone
    left join (
        select bucket, sum(entries) as entries, sum(events) as events, sum(credits) as credits,
               sum(unfunded_credits) as unfunded_credits
        from timed_users
        group by bucket
    ) as named on named.bucket = everyone.bucket
    where $19 = 'user_id' and everyone.entries > coalesce(named.entries, 0)
)
select 'complete' as part, null as name, null as detail, 0 as events, 0::numeric as quantity, 0::numeric as credits,
       0::numeric as unfunded_credits, 0::numeric as api_cost, null::bigint[] as starts, null::bigint[] as events_each,
       null::text[] as credits_each, null::text[] as unfunded_credits_each
from complete
union all
select 'outcome', outcome::text, null, sum(events)::bigint, sum(quantity), sum(credits),
       coalesce(sum(credits) filter (where outcome = 'unfunded'), 0), sum(api_cost), null, null, null, null
from kinds group by outcome
union all
(select 'service', service_type, service_name, events, quantity, credits, unfunded_credits, api_cost, null, null, null, null
 from services order by credits desc, events desc, service_type, service_name limit $20)
union all
(select 'user', user_id, null, events, null, credits, unfunded_credits, null, null, null, null, null
 from users order by credits desc, events desc, user_id)
union all
(select 'series', split, null, null, null, null, null, null, array_agg(extract(epoch from bucket)::bigint), array_agg(events),
        array_agg(trim_scale(credits)::text), array_agg(trim_scale(unfunded_credits)::text)
 from series group by split order by split nulls last);
