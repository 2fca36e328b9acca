-- What becomes of the events of a batch that wrote no row: refused, a duplicate of what the ledger has, or a conflict.
--
-- p_events: as settle_usage takes it. batch: the same events after insert_usage.
-- Returns: position, outcome (duplicate, conflict, refused), and the reason of a refusal.
-- Raises: MT008 when the row that stood in an event's way is gone again.
create or replace function compare_with_ledger(p_events json, batch settling_event[])
returns table (pos bigint, outcome text, reason text)
language plpgsql volatile
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
    repeated bigint[];
begin
    select array_agg(event.pos) into repeated from unnest(batch) as event where not event.fresh;
    if repeated is null then
        return;
    end if;
    -- A statement of its own: the row in the way may have been committed after the insert began.
    return query
        select event.pos,
               case when judged.refusal in ('unknown_organization', 'future_time') then 'refused'
                    when first.event_key is null then 'refused'
                    when (first.source, first.user_id, first.service_type, first.service_name, first.quantity,
                          first.api_cost, first.request_id, first.outcome = 'void', first.credits_given,
                          case when first.credits_given then first.credits_used end, first.key_source_given,
                          case when first.key_source_given then first.key_source end,
                          first.request_metadata - coalesce(first.folded_fields, '{}'))
                         is not distinct from
                         (event.source, event.user_id, event.service_type, event.service_name, event.quantity,
                          event.api_cost, event.request_id, false, event.credits_given,
                          case when event.credits_given then event.credits end, event.key_source_given,
                          case when event.key_source_given then event.key_source end,
                          event.metadata - coalesce(event.folded, '{}'))
                         and (event.occurred_at is null or event.occurred_at = first.occurred_at) then 'duplicate'
                    else 'conflict' end,
               case when judged.refusal in ('unknown_organization', 'future_time') or first.event_key is null
                    then judged.refusal end
        from read_usage(p_events) as event
        join unnest(batch) as judged on judged.pos = event.pos
        left join credit_usage_attribution first
               on first.org_id = event.org_id and first.event_key = event.event_key and first.entry = 0
        where event.pos = any (repeated);
    if exists (
        select 1 from unnest(batch) as event
        where not event.fresh and event.refusal is null and not exists (
            select 1 from credit_usage_attribution first
            where first.org_id = event.org_id and first.event_key = event.event_key and first.entry = 0
        )
    ) then
        raise exception 'an organization vanished while its usage was being settled'
            using errcode = 'MT008', hint = 'Settle the same events again.';
    end if;
end
$$;
