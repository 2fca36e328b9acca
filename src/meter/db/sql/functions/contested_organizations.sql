-- The organizations whose pool or an allocation does not cover everything that the batch asks of it, or that are
-- closed: there the order of events decides who is charged.
--
-- batch: events; only the fresh ones count.
-- Returns: organization ids, possibly none.
-- Locks: none; the caller holds the pools of all fresh events.
create or replace function contested_organizations(batch settling_event[]) returns varchar[]
language sql stable
set search_path = public, pg_temp
as $$
    with asked as (
        select event.org_id, event.user_id, sum(event.credits) as credits
        from unnest(batch) as event
        where event.fresh
        group by event.org_id, event.user_id
        having sum(event.credits) > 0
    )
    select coalesce(array_agg(org_id), '{}')
    from (
        select asked.org_id
        from asked
        join organizations organization on organization.id = asked.org_id
        join organization_credit_pools pool on pool.org_id = asked.org_id
        left join user_credit_allocations allocation
               on allocation.org_id = asked.org_id and allocation.user_id = asked.user_id and allocation.is_active
        group by asked.org_id, organization.status, pool.available_credits, pool.allocation_required
        having sum(asked.credits) > pool.available_credits
            or organization.status <> 'active'
            or bool_or(case when allocation.id is null then pool.allocation_required
                            else asked.credits > allocation.remaining_credits end)
    ) as short
$$;
