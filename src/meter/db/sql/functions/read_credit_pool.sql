-- The pool of an organization as its reader sees it, in one round trip: this is what services ask before every expensive
-- call. Sets whom the transaction reads for, then reads, with the caller's own rights.
--
-- p_user_id, p_org_id, p_sees_everything: the settings meter.user_id, meter.org_id and meter.sees_everything.
-- Returns: no row where there is no such organization or the reader does not belong to it. Locks: nothing.
create or replace function read_credit_pool(p_user_id varchar, p_org_id varchar, p_sees_everything text)
returns table (
    org_id varchar, status text, total_credits numeric, used_credits numeric, available_credits numeric,
    allocated_credits numeric, overage_credits numeric, overage_billed_credits numeric, unfunded_credits numeric,
    allow_overage boolean, overage_limit numeric, overage_rate numeric, allocation_required boolean,
    monthly_refresh_amount numeric, last_refresh_date timestamptz, next_refresh_date timestamptz,
    lifetime_purchased_credits numeric, lifetime_spent_amount numeric, updated_at timestamptz
)
language plpgsql volatile security invoker
set search_path = public, pg_temp
as $$
#variable_conflict use_column
begin
    perform set_config('meter.user_id', p_user_id, true), set_config('meter.org_id', p_org_id, true),
            set_config('meter.sees_everything', p_sees_everything, true);
    return query
    select organization.id, organization.status, pool.total_credits, pool.used_credits, pool.available_credits,
           pool.allocated_credits, pool.overage_credits, pool.overage_billed_credits, pool.unfunded_credits,
           pool.allow_overage, pool.overage_limit, pool.overage_rate, pool.allocation_required,
           pool.monthly_refresh_amount, pool.last_refresh_date, pool.next_refresh_date,
           pool.lifetime_purchased_credits, pool.lifetime_spent_amount, pool.updated_at
    from organizations organization
    join organization_credit_pools pool on pool.org_id = organization.id
    where organization.id = p_org_id;
end
$$;
