-- The events of a batch as rows, numbered from 1 in the order of the batch. The fields are those settle_usage names;
-- amounts are as the ledger keeps them, so that balances and sums are what it adds up to.
create or replace function read_usage(p_events json)
returns table (
    org_id varchar, event_key uuid, event_id varchar, source varchar, user_id varchar, service_type varchar,
    service_name varchar, quantity numeric, credits numeric, credits_given boolean, key_source provider_key_source,
    key_source_given boolean, api_cost numeric, markup numeric, request_id varchar, metadata jsonb, folded text[],
    occurred_at timestamptz, refusal text, pos bigint
)
language sql immutable
begin atomic
    select event.*
    from rows from (json_to_recordset(p_events) as (
        org_id varchar, event_key uuid, event_id varchar, source varchar, user_id varchar, service_type varchar,
        service_name varchar, quantity numeric(20, 6), credits numeric(20, 6), credits_given boolean,
        key_source provider_key_source, key_source_given boolean, api_cost numeric(20, 6), markup numeric(20, 6),
        request_id varchar, metadata jsonb, folded text[], occurred_at timestamptz, refusal text
    )) with ordinality as event;
end;
