-- $1: the events as they were published, a JSON array. The price is applied here, since nobody has read them.
insert into credit_usage_attribution (
    event_key, occurred_at, outcome, key_source, entry, credits_given, key_source_given, org_id, source, user_id,
    credits_used, service_type, quantity, request_id, request_metadata
)
select id, time, 'charged', 'platform', 0, false, false, subject, source, user_id,
       (metadata ->> 'input_tokens')::numeric * 0.003 + (metadata ->> 'output_tokens')::numeric * 0.015, service_type,
       quantity, request_id, metadata
from json_to_recordset($1::json) as event (id uuid, time timestamptz, subject varchar, source varchar, data json)
cross join json_to_record(data) as usage (
    user_id varchar, service_type varchar, quantity numeric, request_id varchar, metadata jsonb
)
order by subject collate "C", id
on conflict (org_id, event_key, entry) do nothing
