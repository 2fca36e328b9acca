-- The usage summary of the read API, as meter_reader.

-- name: read_usage_summary
-- $1 organization; $2 user, or null for everyone; $3 and $4 occurred_at from (included) to (excluded); $5 hour, day,
-- week or month; $6 what splits the time series: outcome, service_type, user_id, or null; $7 services at most;
-- $8 users, and parts of the time series, at most: the other parts are one, without a name.
-- One pass over the entries. Sums are signed over all entries; an event is counted by its entry 0. A void's own entry is
-- no usage, and nobody's.
with entries as (
    -- The first branch runs only for everyone, the second only for one user, each on its own index.
    select usage.* from credit_usage_attribution usage
    where $2::text is null and org_id = $1 and occurred_at >= $3 and occurred_at < $4 and outcome <> 'void'
    union all
    select usage.* from credit_usage_attribution usage
    where org_id = $1 and user_id = $2 and occurred_at >= $3 and occurred_at < $4
),
keyed as (
    select entry, outcome, service_type, service_name, user_id, quantity, credits_used, api_cost,
           date_trunc($5, occurred_at, 'UTC') as bucket,
           case $6::text when 'outcome' then outcome::text when 'service_type' then service_type
                         when 'user_id' then user_id end as split
    from entries
),
sums as (
    select case grouping(outcome, service_type, user_id, bucket, split)
               when b'01111'::integer then 'outcome' when b'10111'::integer then 'service'
               when b'11011'::integer then 'user' when b'11100'::integer then 'bucket'
               when b'11110'::integer then 'split' end as part,
           outcome::text, service_type, service_name, user_id, bucket, split,
           count(*) filter (where entry = 0) as events,
           coalesce(sum(quantity) filter (where entry = 0), 0) as quantity,
           sum(credits_used) as all_credits,
           coalesce(sum(credits_used) filter (where outcome in ('charged', 'overage')), 0) as credits,
           coalesce(sum(credits_used) filter (where outcome = 'unfunded'), 0) as unfunded_credits,
           coalesce(sum(api_cost) filter (where entry = 0), 0) as api_cost
    from keyed
    group by grouping sets ((outcome), (service_type, service_name), (user_id), (bucket, split), (split))
),
named_splits as (
    select split from sums where part = 'split' and split is not null order by credits desc, events desc, split limit $8
),
series as (
    select bucket, case when split in (select split from named_splits) then split end as split,
           sum(events)::bigint as events, sum(credits) as credits, sum(unfunded_credits) as unfunded_credits
    from sums
    where part = 'bucket'
    group by 1, 2
)
select part, outcome as name, null as detail, events, quantity, all_credits as credits, unfunded_credits, api_cost,
       null as starts, null as events_each, null as credits_each, null as unfunded_credits_each
from sums where part = 'outcome'
union all
(select part, service_type, service_name, events, quantity, credits, unfunded_credits, api_cost, null, null, null, null
 from sums where part = 'service' order by credits desc, events desc, service_type, service_name limit $7)
union all
(select part, user_id, null, events, null, credits, unfunded_credits, null, null, null, null, null
 from sums where part = 'user' order by credits desc, events desc, user_id limit $8)
union all
select 'series', split, null, null, null, null, null, null, string_agg(date_part('epoch', bucket)::text, ' '),
       string_agg(events::text, ' '), string_agg(trim_scale(credits)::text, ' '), string_agg(trim_scale(unfunded_credits)::text, ' ')
from series group by split;
