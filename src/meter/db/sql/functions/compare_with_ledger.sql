-- What becomes of the events of a batch that wrote no row: refused, a duplicate of what the ledger has, or a conflict.
--
-- usage: the batch. event_org_ids: the organization of each event. outcomes: of each account, null where its organization
-- is unknown. fresh: which events wrote a row. latest: an event that occurred after this was refused.
-- Returns: for each event its letter (settlement_letters), null for a fresh one.
-- Raises: MT008 when the row that stood in an event's way is gone again.
create or replace function compare_with_ledger(
    usage usage_columns, event_org_ids varchar[], outcomes usage_outcome[], fresh boolean[], latest timestamptz
) returns text[]
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
    sources constant varchar[] := usage.sources;
    service_types constant varchar[] := usage.service_types;
    service_names constant varchar[] := usage.service_names;
    quantities constant numeric[] := usage.quantities;
    key_sources constant provider_key_source[] := usage.key_sources;
    kind_credits_given constant boolean[] := usage.credits_given;
    key_sources_given constant boolean[] := usage.key_sources_given;
    folded constant text[] := usage.folded;
    account_users constant varchar[] := usage.account_users;
    letters text[];
begin
    -- A statement of its own: the row in the way may have been committed after the insert began.
    select array_agg(
        case when event.is_fresh then null
             when outcomes[event.account] is null then 'u'
             when event.occurred_at > latest then 'f'
             when first.event_key is null then case when event.refusal is null then 'gone' else 'r' end
             when first.source = sources[event.kind]
                  and first.user_id = account_users[event.account]
                  and first.service_type = service_types[event.kind]
                  and first.service_name is not distinct from service_names[event.kind]
                  and first.quantity = quantities[event.kind]
                  and first.api_cost is not distinct from event.api_cost
                  and first.request_id is not distinct from event.request_id
                  and first.outcome <> 'void'
                  and first.credits_given = kind_credits_given[event.kind]
                  and (not first.credits_given or first.credits_used = event.credits)
                  and first.key_source_given = key_sources_given[event.kind]
                  and (not first.key_source_given or first.key_source = key_sources[event.kind])
                  and case when first.folded_fields is null and folded[event.kind] is null
                           then first.request_metadata = event.metadata::jsonb
                           else first.request_metadata - coalesce(first.folded_fields, '{}')
                                = event.metadata::jsonb - coalesce(folded[event.kind]::text[], '{}') end
                  and (event.occurred_at is null or event.occurred_at = first.occurred_at) then 'd'
             else 'x' end
        order by event.no)
    into letters
    from unnest(event_org_ids, usage.accounts, usage.kinds, usage.event_keys, usage.credits, usage.api_costs,
                usage.request_ids, usage.metadata, usage.occurred_at, usage.refusals, fresh) with ordinality
         as event (org_id, account, kind, event_key, credits, api_cost, request_id, metadata, occurred_at, refusal,
                   is_fresh, no)
    left join credit_usage_attribution first
           on not event.is_fresh and first.org_id = event.org_id and first.event_key = event.event_key and first.entry = 0;
    if 'gone' = any (letters) then
        raise exception 'an organization vanished while its usage was being settled'
            using errcode = 'MT008', hint = 'Settle the same events again.';
    end if;
    return letters;
end
$$;
