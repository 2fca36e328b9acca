-- Decides events one by one, each seeing what the ones before it took (DESIGN, "What a charge means", steps 2 to 4).
-- Decides only: nothing is written.
--
-- events: priced events of C credits, in the order in which they are to be decided within their organization.
-- Returns: the same events with outcome charged, overage or unfunded, the reason of the latter, and the active allocation.
-- Locks: none; the caller holds the pools of all their organizations.
create or replace function settle_in_order(events settling_event[]) returns settled_event[]
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    event record;
    current_org varchar;
    available numeric;
    overage_room numeric;
    remaining numeric[];
    outcome usage_outcome;
    reason unfunded_reason;
    settled settled_event[] := '{}';
begin
    for event in
        select listed.pos, listed.org_id, listed.event_key, listed.user_id, listed.credits,
               dense_rank() over (order by listed.org_id, listed.user_id)::integer as slot,
               organization.status, pool.allocation_required, pool.available_credits,
               case when pool.allow_overage
                    then pool.overage_limit - (pool.overage_credits - pool.overage_billed_credits) end as overage_room,
               allocation.id as allocation_id, allocation.period_no, allocation.remaining_credits
        from unnest(events) as listed
        join organizations organization on organization.id = listed.org_id
        join organization_credit_pools pool on pool.org_id = listed.org_id
        left join user_credit_allocations allocation
               on allocation.org_id = listed.org_id and allocation.user_id = listed.user_id and allocation.is_active
        order by listed.org_id, listed.pos
    loop
        if event.org_id is distinct from current_org then
            current_org := event.org_id;
            available := event.available_credits;
            overage_room := event.overage_room;
        end if;
        if remaining[event.slot] is null then
            remaining[event.slot] := event.remaining_credits;
        end if;

        reason := null;
        if event.credits = 0 then
            outcome := 'charged';
        elsif event.status <> 'active' then
            outcome := 'unfunded';
            reason := 'organization_closed';
        elsif event.allocation_id is null and event.allocation_required then
            outcome := 'unfunded';
            reason := 'no_allocation';
        elsif event.allocation_id is not null and remaining[event.slot] < event.credits then
            outcome := 'unfunded';
            reason := 'allocation_exhausted';
        elsif available >= event.credits then
            outcome := 'charged';
            available := available - event.credits;
            remaining[event.slot] := remaining[event.slot] - event.credits;
        elsif overage_room >= event.credits then
            outcome := 'overage';
            overage_room := overage_room - event.credits;
            remaining[event.slot] := remaining[event.slot] - event.credits;
        else
            outcome := 'unfunded';
            reason := 'pool_exhausted';
        end if;

        settled := settled || row(event.pos, event.org_id, event.event_key, event.user_id, event.credits,
                                  outcome, reason, event.allocation_id, event.period_no)::settled_event;
    end loop;
    return settled;
end
$$;
