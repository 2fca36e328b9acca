-- The usage summary of everyone, for organizations whose sums are complete, as meter_reader. It finds the same as
-- read_usage_summary; where the sums are not complete, nothing.

-- name: read_by_key_for
-- What read_for says, and how to read for the rest of the transaction. Every way into sums and ledger is by key, whatever
-- is asked, so that one plan does for all; planning takes 5 ms. A plan that was made while a table was small must not read
-- all of it, nor sort what is thousands of rows later on: it is grouped by hashing.
select set_config('meter.user_id', $1, true), set_config('meter.org_id', $2, true),
       set_config('meter.sees_everything', $3, true), set_config('plan_cache_mode', 'force_generic_plan', true),
       set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true),
       set_config('enable_incremental_sort', 'off', true);

-- name: read_rolled_up_usage
-- Of everyone. $1 organization; $2, $3, $4, $5 spans of the sums: which, their beginnings and ends, and 1 or -1: added or
-- taken away; $6, $7, $8, $9 the same for the time series; $10, $11, $12 and $13, $14, $15 moments (and 1 or -1) between
-- which the ledger itself is read; $16 and $17 what the spans cover in all; $18 hour, day, week or month; $19 outcome,
-- service_type, user_id or null; $20 services at most; $21 users, and parts of the time series, at most; $22 how many users
-- are few.
with complete as materialized (
    select from rolled_up_organizations where org_id = $1 and is_complete
),
-- What the sums do not hold, by hours: at the edges of the period, and what is in the queue.
unsummed as materialized (
    select edge.sign, entries.*
    from (
        values ($12::integer, $10::timestamptz, $11::timestamptz), ($15::integer, $13::timestamptz, $14::timestamptz)
    ) as edge (sign, starts_at, ends_at)
    cross join complete
    cross join lateral (
        select date_bin('1 hour', occurred_at, '2000-01-03Z') as starts_at, service_type, service_name, outcome, user_id,
               count(*) as entries, count(*) filter (where entry = 0) as events,
               coalesce(sum(quantity) filter (where entry = 0), 0) as quantity, sum(credits_used) as credits,
               coalesce(sum(api_cost) filter (where entry = 0), 0) as api_cost
        from (
            -- In the order of one index: a plan for any period cannot tell it from that of users, one range each.
            select occurred_at, service_type, service_name, outcome, user_id, entry, quantity, credits_used, api_cost
            from credit_usage_attribution
            where org_id = $1 and occurred_at >= edge.starts_at and occurred_at < edge.ends_at and outcome <> 'void'
            order by occurred_at
            offset 0
        ) as entry
        group by 1, 2, 3, 4, 5
    ) as entries
    union all
    select 1, date_bin('1 hour', occurred_at, '2000-01-03Z'), service_type, service_name, outcome, user_id, count(*),
           count(*) filter (where entry = 0), coalesce(sum(quantity) filter (where entry = 0), 0), sum(credits_used),
           coalesce(sum(api_cost) filter (where entry = 0), 0)
    from (
        select usage.*
        from complete
        join credit_usage_attribution usage
          on usage.org_id = $1 and usage.entry = 0
             and usage.event_key = any (array(select key from queued_usage($1) where entry = 0))
        union all
        select usage.*
        from complete
        cross join (select key, entry from queued_usage($1) where entry <> 0) as moved
        join credit_usage_attribution usage
          on usage.org_id = $1 and usage.event_key = moved.key and usage.entry = moved.entry
    ) as queued
    where occurred_at >= $16 and occurred_at < $17 and outcome <> 'void'
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
known_users as materialized (
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
),
users as materialized (
    select * from known_users order by credits desc, events desc, user_id limit $21
),
few as materialized (
    select (select count(*) from known_users) <= $22::bigint as are_few from complete
),
-- Those that have a part of the series of their own; the part of all others is null.
named as materialized (
    select user_id as split from users where $19 = 'user_id'
    union all
    (
        select case $19 when 'outcome' then outcome::text else service_type end
        from kinds
        where $19 in ('outcome', 'service_type')
        group by 1
        order by coalesce(sum(credits) filter (where outcome in ('charged', 'overage')), 0) desc, sum(events) desc, 1
        limit $21
    )
),
touched as materialized (
    select distinct starts_at from unsummed
),
-- Pieces of the series. By hours it is one, and cut where something is unsummed: the sums of what is left are points as they
-- are, if what they are of has a part.
pieces as materialized (
    select span, starts_at, ends_at, sign, false as are_points
    from unnest($6::text[], $7::timestamptz[], $8::timestamptz[], $9::integer[]) as piece (span, starts_at, ends_at, sign)
    cross join complete
    where $18 <> 'hour'
    union all
    select piece.span, cut.starts_at, cut.ends_at, piece.sign, cut.are_points
    from unnest($6::text[], $7::timestamptz[], $8::timestamptz[], $9::integer[]) as piece (span, starts_at, ends_at, sign)
    cross join complete
    cross join lateral (
        select starts_at, starts_at + interval '1 hour' as ends_at, false as are_points
        from touched
        where starts_at >= piece.starts_at and starts_at < piece.ends_at
        union all
        select coalesce(lag(ends_at) over (order by ends_at) + interval '1 hour', piece.starts_at), ends_at, true
        from (
            select starts_at as ends_at from touched where starts_at >= piece.starts_at and starts_at < piece.ends_at
            union all
            select piece.ends_at
        ) as ends
    ) as cut
    where $18 = 'hour' and cut.starts_at < cut.ends_at
),
-- The sums that the series is made of, of each span and split. Of few users all of them, which are everyone's too. Of many
-- those that have a part, looked up span by span, since of the others there may be any number; and everyone's. Without the
-- thousands that series reads by itself, since putting them down here takes as long as reading them.
spans as materialized (
    select sums.*, are_points and ($19 is null or split in (select split from named)) as is_point
    from (
        select piece.sign, piece.are_points, sums.starts_at, sums.user_id as split, sums.entries, sums.events, sums.credits,
               sums.unfunded_credits
        from pieces as piece
        cross join few
        cross join lateral (
            select * from readable_usage_by_user sums
            where sums.org_id = $1 and sums.span = piece.span::usage_span
              and sums.starts_at >= piece.starts_at and sums.starts_at < piece.ends_at
            offset 0
        ) as sums
        where $19 = 'user_id' and few.are_few and not piece.are_points
        union all
        select piece.sign, piece.are_points, sums.starts_at, sums.user_id, sums.entries, sums.events, sums.credits,
               sums.unfunded_credits
        from pieces as piece
        cross join few
        cross join lateral generate_series(
            piece.starts_at, piece.ends_at - interval '1 microsecond',
            case piece.span when 'hour' then interval '1 hour' when 'day' then interval '24 hours' else interval '168 hours' end
        ) as known (starts_at)
        cross join lateral (
            select * from readable_usage_by_user sums
            where sums.org_id = $1 and sums.span = piece.span::usage_span and sums.starts_at = known.starts_at
              and sums.user_id = any (array(select split from named))
            offset 0
        ) as sums
        where $19 = 'user_id' and not few.are_few
        union all
        -- Each kind of split in the order of the key, so that nothing is sorted or hashed.
        select piece.sign, piece.are_points, sums.starts_at, null, sums.entries, sums.events, sums.credits,
               sums.unfunded_credits
        from pieces as piece
        cross join few
        cross join lateral (
            select sums.starts_at, sum(sums.entries)::bigint as entries, sum(sums.events)::bigint as events,
                   coalesce(sum(sums.credits) filter (where sums.outcome in ('charged', 'overage')), 0) as credits,
                   coalesce(sum(sums.credits) filter (where sums.outcome = 'unfunded'), 0) as unfunded_credits
            from readable_usage_by_service sums
            where sums.org_id = $1 and sums.span = piece.span::usage_span
              and sums.starts_at >= piece.starts_at and sums.starts_at < piece.ends_at
            group by sums.starts_at
        ) as sums
        where $19 is null or $19 = 'user_id' and not few.are_few
        union all
        select piece.sign, piece.are_points, sums.starts_at, sums.service_type, sums.entries, sums.events, sums.credits,
               sums.unfunded_credits
        from pieces as piece
        cross join complete
        cross join lateral (
            select sums.starts_at, sums.service_type, sum(sums.entries)::bigint as entries, sum(sums.events)::bigint as events,
                   coalesce(sum(sums.credits) filter (where sums.outcome in ('charged', 'overage')), 0) as credits,
                   coalesce(sum(sums.credits) filter (where sums.outcome = 'unfunded'), 0) as unfunded_credits
            from readable_usage_by_service sums
            where sums.org_id = $1 and sums.span = piece.span::usage_span
              and sums.starts_at >= piece.starts_at and sums.starts_at < piece.ends_at
            group by sums.starts_at, sums.service_type
        ) as sums
        -- The pieces are asked first whether there are others at all.
        where $19 = 'service_type' and (not piece.are_points or (select count(distinct service_type) > $21 from kinds))
          and (not piece.are_points or sums.service_type in (select split from named) is not true)
        union all
        select piece.sign, piece.are_points, sums.starts_at, sums.outcome::text, sums.entries, sums.events,
               case when sums.outcome in ('charged', 'overage') then sums.credits else 0 end,
               case when sums.outcome = 'unfunded' then sums.credits else 0 end
        from pieces as piece
        cross join complete
        cross join lateral (
            select sums.starts_at, sums.outcome, sum(sums.entries)::bigint as entries, sum(sums.events)::bigint as events,
                   sum(sums.credits) as credits
            from readable_usage_by_service sums
            where sums.org_id = $1 and sums.span = piece.span::usage_span
              and sums.starts_at >= piece.starts_at and sums.starts_at < piece.ends_at
            group by sums.starts_at, sums.outcome
        ) as sums
        where $19 = 'outcome'
    ) as sums
),
series as (
    select sums.starts_at as bucket, sums.user_id as split, sums.events, sums.credits, sums.unfunded_credits
    from pieces as piece
    cross join few
    cross join lateral (
        select * from readable_usage_by_user sums
        where sums.org_id = $1 and sums.span = piece.span::usage_span
          and sums.starts_at >= piece.starts_at and sums.starts_at < piece.ends_at
        offset 0
    ) as sums
    where $19 = 'user_id' and few.are_few and piece.are_points and sums.user_id in (select split from named)
    union all
    select sums.starts_at, null, sums.events, sums.credits, sums.unfunded_credits
    from pieces as piece
    cross join few
    cross join lateral (
        select sums.starts_at, sum(sums.events)::bigint as events, sum(sums.credits) as credits,
               sum(sums.unfunded_credits) as unfunded_credits
        from readable_usage_by_user sums
        where sums.org_id = $1 and sums.span = piece.span::usage_span
          and sums.starts_at >= piece.starts_at and sums.starts_at < piece.ends_at
          and sums.user_id in (select split from named) is not true
        group by sums.starts_at
    ) as sums
    where $19 = 'user_id' and few.are_few and piece.are_points and (select count(*) > $21 from known_users)
    union all
    select sums.starts_at, sums.service_type, sums.events, sums.credits, sums.unfunded_credits
    from pieces as piece
    cross join lateral (
        select sums.starts_at, sums.service_type, sum(sums.events)::bigint as events,
               coalesce(sum(sums.credits) filter (where sums.outcome in ('charged', 'overage')), 0) as credits,
               coalesce(sum(sums.credits) filter (where sums.outcome = 'unfunded'), 0) as unfunded_credits
        from readable_usage_by_service sums
        where sums.org_id = $1 and sums.span = piece.span::usage_span
          and sums.starts_at >= piece.starts_at and sums.starts_at < piece.ends_at
        group by sums.starts_at, sums.service_type
    ) as sums
    where $19 = 'service_type' and piece.are_points and sums.service_type in (select split from named)
    union all
    select starts_at, split, events, credits, unfunded_credits
    from spans
    where is_point
    union all
    -- Truncating thousands of hours to hours would show.
    select case $18 when 'hour' then starts_at else date_trunc($18, starts_at, 'UTC') end as bucket, named.split,
           sum(sign * events)::bigint, sum(case sign when 1 then credits else -credits end),
           sum(case sign when 1 then unfunded_credits else -unfunded_credits end)
    from (
        select sign, starts_at, split, entries, events, credits, unfunded_credits from spans where is_point is not true
        union all
        -- Everyone's less theirs is that of the others.
        select -sign, starts_at, null, entries, events, credits, unfunded_credits
        from spans
        where $19 = 'user_id' and not (select are_few from few) and split is not null
        union all
        select sign, starts_at,
               case $19 when 'outcome' then outcome::text when 'service_type' then service_type when 'user_id' then user_id end,
               entries, events, case when outcome in ('charged', 'overage') then credits else 0 end,
               case when outcome = 'unfunded' then credits else 0 end
        from unsummed
    ) as signed
    left join named on named.split = signed.split
    group by 1, 2
    having sum(sign * entries) > 0
)
select 'complete' as part, null as name, null as detail, 0 as events, 0::numeric as quantity, 0::numeric as credits,
       0::numeric as unfunded_credits, 0::numeric as api_cost, null as starts, null as events_each, null as credits_each,
       null as unfunded_credits_each
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
-- A subquery that is not dissolved, so that nobody sorts thousands of points for the sake of a few parts.
select * from (
    select 'series', split, null, null::bigint, null::numeric, null::numeric, null::numeric, null::numeric,
           string_agg(date_part('epoch', bucket)::text, ' '), string_agg(events::text, ' '),
           string_agg(trim_scale(credits)::text, ' '),
           string_agg(case when unfunded_credits = 0 then '0' else trim_scale(unfunded_credits)::text end, ' ')
    from series
    group by split
    offset 0
) as parts;
