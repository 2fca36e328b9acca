-- The rows; what was written comes back and is added up by the client.
insert into credit_usage_attribution (
    event_key, occurred_at, outcome, key_source, entry, credits_given, key_source_given, org_id, source, user_id,
    credits_used, service_type, quantity, request_id, request_metadata
)
select event_key, occurred_at, 'charged', 'platform', 0, false, false, org_id, source, user_id, credits, service_type,
       quantity, request_id, metadata::jsonb
from unnest(
    $1::uuid[], $2::timestamptz[], $3::varchar[], $4::varchar[], $5::varchar[], $6::numeric[], $7::varchar[], $8::numeric[],
    $9::varchar[], $10::text[]
) as event (event_key, occurred_at, org_id, source, user_id, credits, service_type, quantity, request_id, metadata)
order by org_id collate "C", event_key
on conflict (org_id, event_key, entry) do nothing
returning org_id, user_id, credits_used
