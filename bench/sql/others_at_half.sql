-- Which part of the events of other organizations than $1 was settled when at least half of all events were.
select avg(case when created_at <= half_at then 1.0 else 0.0 end)::float8
from credit_usage_attribution,
     (select percentile_disc(0.5) within group (order by created_at) as half_at from credit_usage_attribution) as half
where org_id <> $1
