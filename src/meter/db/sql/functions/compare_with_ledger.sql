-- Which events of a batch the ledger knows already.
--
-- usage: the batch. which: the events to look for; null: all.
-- Returns: for each event the letter of a duplicate or a conflict (settlement_letters), null where its key is not there.
-- Locks: none. What is there is never changed, so that the answer holds; what is not may come at any moment.
create or replace function compare_with_ledger(usage usage_columns, which boolean[]) returns text[]
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    -- An element of a variable is found at once, one of a composite's array by walking to it.
    sources constant varchar[] := usage.sources;
    service_types constant varchar[] := usage.service_types;
    service_names constant varchar[] := usage.service_names;
    quantities constant numeric[] := usage.quantities;
    key_sources constant provider_key_source[] := usage.key_sources;
    kind_credits_given constant boolean[] := usage.credits_given;
    key_sources_given constant boolean[] := usage.key_sources_given;
    folded constant text[] := usage.folded;
    account_users constant varchar[] := usage.account_users;
    org_ids constant varchar[] := usage.org_ids;
    account_org_ids constant varchar[] := array(
        select org_ids[account.org] from unnest(usage.account_orgs) with ordinality as account (org, no) order by account.no
    );
begin
    -- Arrays that are unnested in a list of columns go side by side, in order, and nothing is put down between. In a
    -- list of tables each is put down for itself, which costs thrice as much.
    return array(
        select case when first.event_key is null then null
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
        from (
            select unnest(usage.accounts) as account, unnest(usage.kinds) as kind, unnest(usage.event_keys) as event_key,
                   unnest(usage.credits) as credits, unnest(usage.api_costs) as api_cost,
                   unnest(usage.request_ids) as request_id, unnest(usage.metadata) as metadata,
                   unnest(usage.occurred_at) as occurred_at, unnest(which) as wanted
        ) as event
        -- Three indexes have the key among their columns, and while the ledger is empty the planner takes any of them, to
        -- keep it. A range of one key in an order is what only the primary key has.
        left join lateral (
            select * from credit_usage_attribution entry_0
            where event.wanted is not false and entry_0.org_id = account_org_ids[event.account]
              and entry_0.event_key >= event.event_key and entry_0.event_key <= event.event_key
            order by entry_0.event_key, entry_0.entry
            limit 1
        ) as first on first.entry = 0
    );
end
$$;
