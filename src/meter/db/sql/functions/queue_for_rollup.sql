-- Says what settlement wrote to the ledger, for the sums of usage: in the transaction that wrote it, and as if all of it
-- were charged. Where that is not so, the caller says which organizations are to be looked up.
--
-- usage: the batch. account_org_ids, allocation_ids: of each account, null where it has none.
-- event_counts: how many of its events wrote a row. fresh: which events did; null: all. Where each account that wrote one
-- has an allocation, that is enough to know it by.
-- Returns: where the note is.
-- Locks: none.
create or replace function queue_for_rollup(
    usage usage_columns, account_org_ids varchar[], allocation_ids bigint[], event_counts integer[], fresh boolean[]
) returns tid
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
    ends constant integer[] := array(
        select sum(sum(account.events)) over (order by account.org)
        from unnest(usage.account_orgs, event_counts) as account (org, events)
        group by account.org order by account.org
    );
    are_named constant boolean := array_position(allocation_ids, null) is not null and exists (
        select from unnest(allocation_ids, event_counts) as account (allocation_id, events)
        where account.allocation_id is null and account.events > 0
    );
    place tid;
begin
    if fresh is not null then
        select array_agg(event.account order by event.no), array_agg(event.kind order by event.no),
               array_agg(event.event_key order by event.no), array_agg(event.credits order by event.no),
               array_agg(event.api_cost order by event.no), array_agg(event.occurred_at order by event.no)
        into usage.accounts, usage.kinds, usage.event_keys, usage.credits, usage.api_costs, usage.occurred_at
        from unnest(usage.accounts, usage.kinds, usage.event_keys, usage.credits, usage.api_costs, usage.occurred_at, fresh)
             with ordinality as event (account, kind, event_key, credits, api_cost, occurred_at, is_fresh, no)
        where event.is_fresh;
    end if;
    insert into usage_rollup_queue (
        org_ids, ends, event_keys, allocation_ids, account_org_ids, account_users, service_types, service_names, quantities,
        accounts, kinds, credits, api_costs, occurred_at
    )
    values (usage.org_ids, ends, usage.event_keys, array_replace(allocation_ids, null, 0),
            case when are_named then account_org_ids end, case when are_named then usage.account_users end,
            usage.service_types, usage.service_names, usage.quantities, usage.accounts, usage.kinds, usage.credits,
            usage.api_costs, usage.occurred_at)
    returning ctid into place;
    return place;
end
$$;
