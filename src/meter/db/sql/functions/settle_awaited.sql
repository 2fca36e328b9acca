-- Settles events some of which were taken back before they came: each of those is settled as any other, and its void at
-- once after it, so that the next event sees what both left.
--
-- events: as settle_carefully takes them, in the order of their positions.
-- Returns: the same events with their first outcome.
-- Locks: as settle_carefully, and rows of pending_voids; the caller holds the pools.
create or replace function settle_awaited(events settling_event[]) returns settled_event[]
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
    settled settled_event[] := '{}';
    begun integer := 1;
    awaited record;
begin
    for awaited in
        select event.no::integer, event.org_id, event.event_key
        from unnest(events) with ordinality as event (
            pos, org_id, event_key, user_id, credits, priced, fresh, refusal, outcome, reason, allocation_id, period_no, no
        )
        join pending_voids waiting on waiting.org_id = event.org_id and waiting.target_key = event.event_key
        order by event.no
    loop
        settled := settled || settle_carefully(events[begun : awaited.no]);
        begun := awaited.no + 1;
        perform take_back(awaited.org_id, awaited.event_key, no_longer_pending(awaited.org_id, awaited.event_key));
    end loop;
    if begun <= cardinality(events) then
        settled := settled || settle_carefully(events[begun:]);
    end if;
    return settled;
end
$$;
