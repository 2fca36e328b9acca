-- What the read API asks of the ledger's entries, newest first, as meter_reader. Two statements and not one with an
-- optional user, so that each walks its own index in order whatever plan is kept for it.
-- The enumerations travel as text: a driver that does not know them would ask the catalogue first.

-- name: read_entries
-- $1 organization; $2, $3, $4 occurred_at, event_key and entry before the page; $5 the earliest occurred_at;
-- $6 recorded at this moment or before; $7 service_type or null; $8 outcome or null; $9 rows at most; $10 entries to look
-- at, at most.
select event_key, entry, coalesce(event_id, event_key::text) as event_id, source, user_id, service_type, service_name,
       quantity, credits_used, outcome::text, reason::text, key_source::text, api_cost, markup_applied,
       credits_used * 0.001 as total_cost, allocation_id, period_no, request_id, request_metadata, occurred_at, created_at
from (
    select * from credit_usage_attribution
    where org_id = $1
      and (occurred_at, event_key, entry) < ($2, $3, $4)
      and occurred_at >= $5
    order by occurred_at desc, event_key desc, entry desc
    limit $10
) as looked_at
where created_at <= $6
  and ($7::text is null or service_type = $7)
  and ($8::text is null or outcome::text = $8)
order by looked_at.occurred_at desc, looked_at.event_key desc, looked_at.entry desc
limit $9;

-- name: read_entries_of_user
-- The same; $11 user.
select event_key, entry, coalesce(event_id, event_key::text) as event_id, source, user_id, service_type, service_name,
       quantity, credits_used, outcome::text, reason::text, key_source::text, api_cost, markup_applied,
       credits_used * 0.001 as total_cost, allocation_id, period_no, request_id, request_metadata, occurred_at, created_at
from (
    select * from credit_usage_attribution
    where org_id = $1
      and user_id = $11
      and (occurred_at, event_key, entry) < ($2, $3, $4)
      and occurred_at >= $5
    order by occurred_at desc, event_key desc, entry desc
    limit $10
) as looked_at
where created_at <= $6
  and ($7::text is null or service_type = $7)
  and ($8::text is null or outcome::text = $8)
order by looked_at.occurred_at desc, looked_at.event_key desc, looked_at.entry desc
limit $9;

-- name: last_looked_at
-- How far a page looked that found less than it wanted; no row where it looked at everything. $1 to $5 as in read_entries;
-- $6 entries that it looked at.
select occurred_at, event_key, entry from credit_usage_attribution
where org_id = $1
  and (occurred_at, event_key, entry) < ($2, $3, $4)
  and occurred_at >= $5
order by occurred_at desc, event_key desc, entry desc
offset $6 - 1 limit 1;

-- name: last_looked_at_of_user
-- The same; $7 user.
select occurred_at, event_key, entry from credit_usage_attribution
where org_id = $1
  and user_id = $7
  and (occurred_at, event_key, entry) < ($2, $3, $4)
  and occurred_at >= $5
order by occurred_at desc, event_key desc, entry desc
offset $6 - 1 limit 1;

-- name: latest_usage_like
-- $1 organization; $2 service_type or null; $3 outcome or null; $4 a moment. Whether there is anything like this before it,
-- and a moment from which to look instead; null: the same.
select latest > '-infinity' as exists, case when latest < $4 and latest > '-infinity' then latest end as moment
from latest_usage_like($1, $2, $3::text::usage_outcome, $4) as latest;

-- name: read_clock
select clock_timestamp();
