-- Settles events whose outcome depends on their order, or that stay open.
--
-- events: fresh events of organizations that are short, and unpriced ones of any, with what was written of them.
-- Returns: the same events with the outcome that holds.
-- Locks: ledger rows of this transaction, allocations and pools; the caller holds the pools.
create or replace function settle_carefully(events settling_event[]) returns settled_event[]
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
    settled settled_event[];
begin
    settled := settle_in_order(array(select event from unnest(events) as event where event.priced))
        || array(
            select row(event.pos, event.org_id, event.event_key, event.user_id, event.credits, 'unpriced', null,
                       allocation.id, allocation.period_no)::settled_event
            from unnest(events) as event
            left join user_credit_allocations allocation
                   on allocation.org_id = event.org_id and allocation.user_id = event.user_id and allocation.is_active
            where not event.priced
        );
    perform apply_settlement(events, settled);
    return settled;
end
$$;
