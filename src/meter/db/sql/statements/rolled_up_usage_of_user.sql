-- The usage summary of one user, for organizations whose sums are complete, as meter_reader. It finds the same as
-- read_usage_summary; where the sums are not complete, nothing.

-- name: read_rolled_up_usage_of_user
-- Of one user. $1 organization; $2 user; $3, $4, $5, $6 spans of the sums: hours and days, their beginnings and ends, and 1
-- or -1; $7, $8, $9 and $10, $11, $12 moments (and 1 or -1) between which the ledger itself is read; $13 and $14 what the
-- spans cover in all; $15 hour, day, week or month; $16 outcome, service_type, user_id or null; $17 services at most; $18
-- parts of the time series at most.
with complete as materialized (
    select from rolled_up_organizations where org_id = $1 and is_complete
),
-- Pieces of hours, taken apart into days, and whether there are sums of their hours.
days as materialized (
    select piece.sign, greatest(piece.starts_at, day.starts_at) as starts_at,
           least(piece.ends_at, day.starts_at + interval '1 day') as ends_at,
           (
               select sum(known.entries) >= busy_day() from readable_usage_of_user known
               where known.org_id = $1 and known.user_id = $2 and known.span = 'day' and known.starts_at = day.starts_at
           ) is true as is_busy
    from unnest($3::text[], $4::timestamptz[], $5::timestamptz[], $6::integer[]) as piece (span, starts_at, ends_at, sign)
    cross join complete
    cross join generate_series(
        date_bin('1 day', piece.starts_at, '2000-01-03Z'), piece.ends_at - interval '1 hour', interval '1 day'
    ) as day (starts_at)
    where piece.span = 'hour'
),
queued as materialized (
    select key, entry from complete cross join queued_usage($1)
),
entries as (
    select $9::integer as sign, usage.occurred_at, usage.service_type, usage.service_name, usage.outcome,
           usage.entry, usage.quantity, usage.credits_used, usage.api_cost
    from complete
    join credit_usage_attribution usage
      on usage.org_id = $1 and usage.user_id = $2 and usage.occurred_at >= $7 and usage.occurred_at < $8
    union all
    select $12::integer, usage.occurred_at, usage.service_type, usage.service_name, usage.outcome,
           usage.entry, usage.quantity, usage.credits_used, usage.api_cost
    from complete
    join credit_usage_attribution usage
      on usage.org_id = $1 and usage.user_id = $2 and usage.occurred_at >= $10 and usage.occurred_at < $11
    union all
    select 1, usage.occurred_at, usage.service_type, usage.service_name, usage.outcome,
           usage.entry, usage.quantity, usage.credits_used, usage.api_cost
    from complete
    join credit_usage_attribution usage
      on usage.org_id = $1 and usage.entry = 0
         and usage.event_key = any (array(select key from queued where entry = 0))
         and usage.user_id = $2 and usage.occurred_at >= $13 and usage.occurred_at < $14
    union all
    select 1, usage.occurred_at, usage.service_type, usage.service_name, usage.outcome,
           usage.entry, usage.quantity, usage.credits_used, usage.api_cost
    from (select key, entry from queued where entry <> 0) as moved
    join credit_usage_attribution usage
      on usage.org_id = $1 and usage.event_key = moved.key and usage.entry = moved.entry
         and usage.user_id = $2 and usage.occurred_at >= $13 and usage.occurred_at < $14
    union all
    -- In place of sums, so without what is queued.
    select days.sign, usage.occurred_at, usage.service_type, usage.service_name, usage.outcome,
           usage.entry, usage.quantity, usage.credits_used, usage.api_cost
    from days
    cross join lateral (
        select * from credit_usage_attribution entry
        where entry.org_id = $1 and entry.user_id = $2
          and entry.occurred_at >= days.starts_at and entry.occurred_at < days.ends_at
        offset 0
    ) as usage
    where not days.is_busy and (usage.event_key, usage.entry) not in (select key, entry from queued)
),
signed as materialized (
    select piece.sign, sums.starts_at, sums.service_type, sums.service_name, sums.outcome, sums.entries, sums.events,
           sums.quantity, sums.credits, sums.api_cost
    from (
        select span, starts_at, ends_at, sign
        from unnest($3::text[], $4::timestamptz[], $5::timestamptz[], $6::integer[]) as given (span, starts_at, ends_at, sign)
        cross join complete
        where span <> 'hour'
        union all
        select 'hour', starts_at, ends_at, sign from days where is_busy
    ) as piece
    cross join lateral (
        select * from readable_usage_of_user sums
        where sums.org_id = $1 and sums.user_id = $2 and sums.span = piece.span::usage_span
          and sums.starts_at >= piece.starts_at and sums.starts_at < piece.ends_at
        offset 0
    ) as sums
    union all
    select sign, date_bin('1 hour', occurred_at, '2000-01-03Z'), service_type, service_name, outcome, count(*),
           count(*) filter (where entry = 0), coalesce(sum(quantity) filter (where entry = 0), 0), sum(credits_used),
           coalesce(sum(api_cost) filter (where entry = 0), 0)
    from entries
    group by 1, 2, 3, 4, 5
),
kinds as materialized (
    select service_type, service_name, outcome, sum(sign * events)::bigint as events, sum(sign * quantity) as quantity,
           sum(sign * credits) as credits, sum(sign * api_cost) as api_cost
    from signed
    group by service_type, service_name, outcome
    having sum(sign * entries) > 0
),
sums as (
    select service_type, service_name, outcome, events, quantity, api_cost, credits as all_credits,
           case when outcome in ('charged', 'overage') then credits else 0 end as credits,
           case when outcome = 'unfunded' then credits else 0 end as unfunded_credits
    from kinds
),
-- Those that have a part of the series of their own; the part of all others is null.
named as materialized (
    select case $16::text when 'outcome' then outcome::text when 'service_type' then service_type else $2 end as split
    from sums
    where $16 is not null
    group by 1
    order by sum(credits) desc, sum(events) desc, 1
    limit $18
),
series as (
    -- Truncating thousands of hours to hours would show.
    select case $15 when 'hour' then starts_at else date_trunc($15, starts_at, 'UTC') end as bucket,
           case $16 when 'outcome' then case when outcome::text in (select split from named) then outcome::text end
                    when 'service_type' then case when service_type in (select split from named) then service_type end
                    when 'user_id' then $2 end as split,
           sum(sign * events)::bigint as events,
           coalesce(sum(case sign when 1 then credits else -credits end) filter (where outcome in ('charged', 'overage')), 0)
               as credits,
           coalesce(sum(case sign when 1 then credits else -credits end) filter (where outcome = 'unfunded'), 0)
               as unfunded_credits
    from signed
    group by 1, 2
    having sum(sign * entries) > 0
)
select 'complete' as part, null as name, null as detail, 0 as events, 0::numeric as quantity, 0::numeric as credits,
       0::numeric as unfunded_credits, 0::numeric as api_cost, null as starts, null as events_each, null as credits_each,
       null as unfunded_credits_each
from complete
union all
select 'outcome', outcome::text, null, sum(events)::bigint, sum(quantity), sum(all_credits), sum(unfunded_credits),
       sum(api_cost), null, null, null, null
from sums group by outcome
union all
(select 'service', service_type, service_name, sum(events)::bigint, sum(quantity), sum(credits), sum(unfunded_credits),
        sum(api_cost), null, null, null, null
 from sums group by service_type, service_name
 order by sum(credits) desc, sum(events) desc, service_type, service_name limit $17)
union all
select 'user', $2, null, sum(events)::bigint, null, sum(credits), sum(unfunded_credits), null, null, null, null, null
from sums having count(*) > 0
union all
-- A subquery that is not dissolved, so that nobody sorts thousands of points for the sake of a few parts.
select * from (
    select 'series', split, null, null::bigint, null::numeric, null::numeric, null::numeric, null::numeric,
           string_agg(date_part('epoch', bucket)::text, ' '), string_agg(events::text, ' '),
           string_agg(trim_scale(credits)::text, ' '), string_agg(trim_scale(unfunded_credits)::text, ' ')
    from series
    group by split
    offset 0
) as parts;
