-- Whether a charge of so many credits would be taken now, from the pool or as overage: exactly when settle_usage would
-- answer charged or overage to a fresh event.
--
-- p_org_id, p_user_id: whose. p_credits: how many, at least 0.
-- Returns: false for an unknown organization. Locks: nothing. Raises: MT006 for an amount outside the contract.
create or replace function has_sufficient_credits(p_org_id varchar, p_user_id varchar, p_credits numeric) returns boolean
language sql stable security definer
set search_path = public, pg_temp
as $$
    select coalesce((
        select event.outcome in ('charged', 'overage')
        from unnest(settle_in_order(array[
            row(1, p_org_id, null, p_user_id, check_credits('credits', p_credits), true, true, null,
                null, null, null, null)::settling_event
        ])) as event
    ), false)
$$;
