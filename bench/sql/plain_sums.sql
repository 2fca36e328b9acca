-- Usage of an organization ($1) from $2 to $3 (excluded), of everyone or one user ($4), added up by everything that a
-- summary shows; $5: length of a bucket.
select outcome::text, service_type, service_name, user_id, date_trunc($5, occurred_at, 'UTC') as bucket,
       count(*) filter (where entry = 0) as events, sum(credits_used) as credits,
       coalesce(sum(quantity) filter (where entry = 0), 0) as quantity
from credit_usage_attribution
where org_id = $1 and occurred_at >= $2 and occurred_at < $3 and ($4::text is null or user_id = $4)
group by 1, 2, 3, 4, 5
