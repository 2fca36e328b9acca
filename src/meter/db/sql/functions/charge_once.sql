-- Charges one event now that a service asks for over HTTP, or raises and writes nothing: deduct_credits that tells a
-- request which still runs, and answers a repeated one as the first.
--
-- p_key: the event's id. p_source: its source, which names the caller. p_http_request_id: kept with the event, and
-- decides no conflict. The others: as of deduct_credits.
-- Returns: the event's key, its outcome, its credits and when the usage happened.
-- Locks: an advisory lock of the key, never waited for; then as settle_usage.
-- Raises: MT020 the first request is still running; and as deduct_credits.
create or replace function charge_once(
    p_org_id varchar, p_user_id varchar, p_credits numeric, p_service_type varchar, p_service_name varchar,
    p_request_id varchar, p_request_metadata jsonb, p_key varchar, p_source varchar, p_occurred_at timestamptz,
    p_http_request_id varchar
)
returns table (event_key uuid, outcome text, credits_used numeric, occurred_at timestamptz)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
    traced constant jsonb := coalesce(p_request_metadata, '{}') || jsonb_build_object('http_request_id', p_http_request_id);
    charged record;
begin
    perform hold_request_key(p_org_id, p_source, 'deduct', p_key);
    select * into charged from deduct_credits(
        p_org_id, p_user_id, p_credits, p_service_type, p_service_name, p_request_id, traced, p_key, p_source, p_occurred_at,
        array['http_request_id']
    );
    return query
        select charged.event_key, charged.outcome, charged.credits_used, usage.occurred_at
        from credit_usage_attribution usage
        where usage.org_id = p_org_id and usage.event_key = charged.event_key and usage.entry = 0;
end
$$;
