-- Says which rows settlement wrote to the ledger, for the sums of usage: in the transaction that wrote them.
--
-- org_ids, account_orgs, accounts, event_keys: as in usage_columns. fresh: which events wrote a row; null: all.
-- Locks: none.
create or replace function queue_for_rollup(
    org_ids varchar[], account_orgs integer[], accounts integer[], event_keys uuid[], fresh boolean[]
) returns void
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
    ends integer[];
begin
    if fresh is null then
        ends := array(
            select max(event.no) from unnest(accounts) with ordinality as event (account, no)
            group by account_orgs[event.account] order by 1
        );
    else
        ends := array(
            select sum(count(*) filter (where event.is_fresh)) over (order by account_orgs[event.account])
            from unnest(accounts, fresh) as event (account, is_fresh)
            group by account_orgs[event.account] order by account_orgs[event.account]
        );
        event_keys := array(
            select event.key from unnest(event_keys, fresh) with ordinality as event (key, is_fresh, no)
            where event.is_fresh order by event.no
        );
    end if;
    insert into usage_rollup_queue (org_ids, ends, event_keys) values (org_ids, ends, event_keys);
end
$$;
