-- Which part of the events of other organizations than $1 was settled when half of all events were.
select avg(case when place * 2 <= total then 1.0 else 0.0 end)::float8
from (
    select org_id, row_number() over (order by created_at) as place, count(*) over () as total
    from credit_usage_attribution
) as settled
where org_id <> $1
