-- Resets the active allocations whose time has come: a new period begins in which nothing is used. A reset that comes
-- late is one reset, and the next date is the first in the future. It gives back the limit, never credits: what the
-- pool has left stays as it is. Organizations with unfunded events are marked, workers go on with their funding.
-- Called by workers again and again; several may at once. Allocations of a closed organization wait for no reset any more.
--
-- p_limit: how many allocations to reset at most.
-- Returns: how many were reset; below p_limit there may be more, where another transaction held a pool.
-- Locks: pools in the order of their ids, passing over those that others hold, so that a busy organization does not
--     hold up the rest; where all are held, the first is waited for, alone. Then allocations under them.
create or replace function reset_allocations(p_limit integer default 1000) returns integer
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
    due_orgs varchar[];
    held_orgs varchar[];
    reset_count integer;
begin
    select array_agg(distinct due.org_id) into due_orgs
    from (
        select org_id from user_credit_allocations
        where is_active and next_reset_date <= now()
        order by next_reset_date
        limit p_limit
    ) as due;
    if due_orgs is null then
        return 0;
    end if;

    select array_agg(pool.org_id) into held_orgs
    from (
        select org_id from organization_credit_pools
        where org_id = any (due_orgs)
        order by org_id
        for no key update skip locked
    ) as pool;
    if held_orgs is null then
        held_orgs := due_orgs[1:1];
        perform 1 from organization_credit_pools where org_id = any (held_orgs) for no key update;
    end if;

    update user_credit_allocations allocation
    set next_reset_date = null, updated_at = now()
    from organizations organization
    where organization.id = any (held_orgs) and organization.status = 'closed'
      and allocation.org_id = organization.id and allocation.next_reset_date is not null;

    -- Read anew, now that nobody else can change them: another worker may have reset some meanwhile.
    with due as (
        select org_id, user_id, period_no, used_credits, coalesce(last_reset_date, created_at) as period_start
        from user_credit_allocations
        where org_id = any (held_orgs) and is_active and next_reset_date <= now()
        order by next_reset_date
        limit p_limit
    ),
    begun as (
        update user_credit_allocations allocation
        set period_no = allocation.period_no + 1,
            used_credits = 0,
            last_reset_date = now(),
            next_reset_date = next_reset_date(allocation.reset_period, now()),
            updated_at = now()
        from due
        where allocation.org_id = due.org_id and allocation.user_id = due.user_id
    ),
    noted as (
        insert into org_billing_history (org_id, event_type, user_id, period_start, period_end, actor, metadata)
        select org_id, 'allocation_reset', user_id, period_start, now(), session_user, jsonb_build_object(
                   'period_no', period_no, 'used_credits', used_credits::text)
        from due
    ),
    marked as (
        update organization_credit_pools pool
        set funding_cursor = 0
        where pool.org_id in (select org_id from due) and pool.unfunded_credits > 0
    )
    select count(*) into reset_count from due;
    return reset_count;
end
$$;
