-- Charges one event now, or raises and writes nothing: settle_usage of one.
--
-- p_org_id, p_user_id: whose usage. p_credits: charge exactly this. p_service_type, p_service_name: what was used.
-- p_request_id, p_request_metadata: the caller's own. p_event_id, p_source: the identity of the event; a new id where
-- null. p_occurred_at: now where null. p_folded: names in p_request_metadata that decide no conflict.
-- Returns: the event's key, its outcome (charged or overage), its credits, whether it was charged by an earlier call,
--     and what the pool has left. A repeated key returns the first result and changes nothing.
-- Locks: as settle_usage.
-- Raises: MT001 too few credits in the allocation or pool; MT002 no allocation; MT003 unknown organization; MT004 the
--     same key came before with other content, or the event was taken back; MT005 organization closed; MT006 an
--     argument outside the contract.
create or replace function deduct_credits(
    p_org_id varchar, p_user_id varchar, p_credits numeric, p_service_type varchar, p_service_name varchar default null,
    p_request_id varchar default null, p_request_metadata jsonb default '{}', p_event_id varchar default null,
    p_source varchar default 'deduct_credits', p_occurred_at timestamptz default null, p_folded text[] default null
)
returns table (event_key uuid, outcome text, credits_used numeric, repeated boolean, available_credits numeric)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
    event_key_now uuid;
    answer record;
    present record;
begin
    perform check_credits('credits', p_credits), check_usage_arguments(p_user_id, p_service_type, p_service_name,
        p_request_id, p_request_metadata, p_event_id, p_source);
    event_key_now := case when p_event_id is null then new_event_key() else usage_event_key(p_source, p_event_id) end;

    select * into answer from settle_usage(json_build_array(json_build_object(
        'org_id', p_org_id, 'event_key', event_key_now,
        'event_id', nullif(p_event_id, event_key_now::text), 'source', p_source, 'user_id', p_user_id,
        'service_type', p_service_type, 'service_name', p_service_name, 'quantity', 1, 'credits', p_credits,
        'credits_given', true, 'key_source', plan_key_source(p_org_id, coalesce(p_occurred_at, clock_timestamp())),
        'key_source_given', false, 'request_id', p_request_id, 'metadata', coalesce(p_request_metadata, '{}'),
        'folded', p_folded, 'occurred_at', p_occurred_at
    )));

    if answer.outcome = 'refused' and answer.reason = 'unknown_organization' then
        raise exception 'organization "%" is not known', p_org_id
            using errcode = 'MT003', hint = format('Create it with: meter organizations add %s', p_org_id);
    elsif answer.outcome = 'refused' then
        raise exception 'occurred_at is more than five minutes in the future' using errcode = 'MT006';
    elsif answer.outcome = 'conflict' then
        raise exception 'this event id was used before with other content'
            using errcode = 'MT004', hint = 'Use a new id for a new charge.';
    end if;

    select usage.outcome, usage.reason, usage.credits_used, usage.counterpart_key into present
    from credit_usage_attribution usage
    where usage.org_id = p_org_id and usage.event_key = event_key_now
    order by usage.entry desc
    limit 1;
    if present.counterpart_key is not null then
        raise exception 'this event was taken back' using errcode = 'MT004', detail = 'taken_back',
            hint = 'Use a new id for a new charge.';
    elsif present.outcome = 'unfunded' then
        perform raise_unfunded(p_org_id, p_user_id, p_credits, present.reason);
    end if;

    return query
        select event_key_now, present.outcome::text, present.credits_used, answer.outcome = 'duplicate',
               pool.available_credits
        from organization_credit_pools pool where pool.org_id = p_org_id;
end
$$;
