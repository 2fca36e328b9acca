-- Says what settlement wrote to the ledger, for the sums of usage: in the transaction that wrote it, and as if all of it
-- were charged. Where that is not so, the caller says which organizations are to be looked up.
--
-- usage: the batch. account_org_ids: the organization of each account. fresh: which events wrote a row; null: all.
-- Returns: where the note is.
-- Locks: none.
create or replace function queue_for_rollup(usage usage_columns, account_org_ids varchar[], fresh boolean[]) returns tid
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
    ends integer[];
    place tid;
begin
    if fresh is null then
        ends := array(
            select max(event.no) from unnest(usage.accounts) with ordinality as event (account, no)
            group by usage.account_orgs[event.account] order by 1
        );
    else
        ends := array(
            select sum(count(*) filter (where event.is_fresh)) over (order by usage.account_orgs[event.account])
            from unnest(usage.accounts, fresh) as event (account, is_fresh)
            group by usage.account_orgs[event.account] order by usage.account_orgs[event.account]
        );
        select array_agg(event.account order by event.no), array_agg(event.kind order by event.no),
               array_agg(event.event_key order by event.no), array_agg(event.credits order by event.no),
               array_agg(event.api_cost order by event.no), array_agg(event.occurred_at order by event.no)
        into usage.accounts, usage.kinds, usage.event_keys, usage.credits, usage.api_costs, usage.occurred_at
        from unnest(usage.accounts, usage.kinds, usage.event_keys, usage.credits, usage.api_costs, usage.occurred_at, fresh)
             with ordinality as event (account, kind, event_key, credits, api_cost, occurred_at, is_fresh, no)
        where event.is_fresh;
    end if;
    insert into usage_rollup_queue (
        org_ids, ends, event_keys, account_org_ids, account_users, service_types, service_names, quantities, accounts, kinds,
        credits, api_costs, occurred_at
    )
    values (usage.org_ids, ends, usage.event_keys, account_org_ids, usage.account_users, usage.service_types,
            usage.service_names, usage.quantities, usage.accounts, usage.kinds, usage.credits, usage.api_costs,
            usage.occurred_at)
    returning ctid into place;
    return place;
end
$$;
