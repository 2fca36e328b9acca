-- What the read API asks of the ledger's entries, newest first, as meter_reader. Two statements and not one with an
-- optional user, so that each walks its own index in order whatever plan is kept for it.
-- The enumerations travel as text: a driver that does not know them would ask the catalogue first.

-- name: read_entries
-- $1 organization; $2, $3, $4 occurred_at, event_key and entry before the page; $5 the earliest occurred_at;
-- $6 recorded at this moment or before; $7 service_type or null; $8 outcome or null; $9 rows at most.
select event_key, entry, event_id, source, user_id, service_type, service_name, quantity, credits_used,
       outcome::text, reason::text, key_source::text, api_cost, markup_applied, total_cost, allocation_id, period_no,
       request_id, request_metadata, occurred_at, created_at
from credit_usage_entries
where org_id = $1
  and (occurred_at, event_key, entry) < ($2, $3, $4)
  and occurred_at >= $5
  and created_at <= $6
  and ($7::text is null or service_type = $7)
  and ($8::text is null or outcome::text = $8)
order by occurred_at desc, event_key desc, entry desc
limit $9;

-- name: read_entries_of_user
-- The same; $10 user.
select event_key, entry, event_id, source, user_id, service_type, service_name, quantity, credits_used,
       outcome::text, reason::text, key_source::text, api_cost, markup_applied, total_cost, allocation_id, period_no,
       request_id, request_metadata, occurred_at, created_at
from credit_usage_entries
where org_id = $1
  and user_id = $10
  and (occurred_at, event_key, entry) < ($2, $3, $4)
  and occurred_at >= $5
  and created_at <= $6
  and ($7::text is null or service_type = $7)
  and ($8::text is null or outcome::text = $8)
order by occurred_at desc, event_key desc, entry desc
limit $9;

-- name: read_clock
select clock_timestamp();
