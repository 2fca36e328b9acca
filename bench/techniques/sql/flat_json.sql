-- $1: rated events written anew as flat objects, a JSON array.
insert into credit_usage_attribution (
    event_key, occurred_at, outcome, key_source, entry, credits_given, key_source_given, org_id, source, user_id,
    credits_used, service_type, quantity, request_id, request_metadata
)
select event_key, occurred_at, 'charged', 'platform', 0, false, false, org_id, source, user_id, credits, service_type,
       quantity, request_id, metadata::jsonb
from json_to_recordset($1::json) as event (
    event_key uuid, occurred_at timestamptz, org_id varchar, source varchar, user_id varchar, credits numeric,
    service_type varchar, quantity numeric, request_id varchar, metadata jsonb
)
order by org_id collate "C", event_key
on conflict (org_id, event_key, entry) do nothing
