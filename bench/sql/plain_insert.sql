-- The row of an event that is new. $1 organization, $2 event key, $3 source, $4 user, $5 when, $6 credits,
-- $7 service type, $8 quantity, $9 request id, $10 metadata as JSON text. Returns no row for a duplicate.
insert into credit_usage_attribution (
    org_id, event_key, entry, source, user_id, occurred_at, credits_used, service_type, quantity, request_id,
    request_metadata, outcome, key_source, credits_given, key_source_given
)
values ($1, $2, 0, $3, $4, $5, $6, $7, $8, $9, $10::text::jsonb, 'charged', 'platform', false, false)
on conflict do nothing
returning 1
