-- Refuses arguments of a charge made by hand that an event could not carry. Raises: MT006 with the name of the argument.
create or replace function check_usage_arguments(
    p_user_id text, p_service_type text, p_service_name text, p_request_id text, p_request_metadata jsonb,
    p_event_id text, p_source text
)
returns void
language plpgsql immutable
set search_path = public, pg_temp
as $$
declare
    wrong text := case
        when coalesce(length(p_user_id), 0) not between 1 and 255 then 'user_id must have 1 to 255 characters'
        when coalesce(length(p_service_type), 0) not between 1 and 100 then 'service_type must have 1 to 100 characters'
        when length(p_service_name) > 200 then 'service_name must have at most 200 characters'
        when length(p_request_id) > 255 then 'request_id must have at most 255 characters'
        when length(p_event_id) not between 1 and 128 then 'event_id must have 1 to 128 characters'
        when coalesce(length(p_source), 0) not between 1 and 128 then 'source must have 1 to 128 characters'
        when jsonb_typeof(p_request_metadata) <> 'object' then 'request_metadata must be an object'
        when octet_length(p_request_metadata::text) > 8192 then 'request_metadata must have at most 8 KiB'
    end;
begin
    if wrong is not null then
        raise exception '%', wrong using errcode = 'MT006';
    end if;
end
$$;
