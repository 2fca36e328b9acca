-- How many entries of an organization ($1) lie between two of them ($2 the newest, $3 the oldest event key and entry), both
-- included, that a filter ($4 user, $5 service type, $6 outcome, each null for any) lets through.
select count(*)
from credit_usage_attribution,
     (select occurred_at as newest_at from credit_usage_attribution where org_id = $1 and event_key = $2 and entry = 0),
     (select occurred_at as oldest_at from credit_usage_attribution where org_id = $1 and event_key = $3 and entry = 0)
where org_id = $1
  and (occurred_at, event_key) between (oldest_at, $3) and (newest_at, $2)
  and ($4::text is null or user_id = $4)
  and ($5::text is null or service_type = $5)
  and ($6::text is null or outcome::text = $6)
