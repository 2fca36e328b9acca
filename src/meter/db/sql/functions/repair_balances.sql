-- Sets the balances of an organization to what its ledger, its history and its active allocations add up to (DESIGN,
-- "Always"), and writes down what was changed, by whom, in the history. Where all is well it changes nothing.
--
-- p_org_id: the organization. p_actor: who does it.
-- Returns: a row for each balance that was changed: its name (used is of the pool where there is no user), what it was and
--     what it is. Where the history of allocated does not add up, its row says what the history had.
-- Locks: the pool, while the ledger of the organization is added up; settlement of its usage waits so long.
-- Raises: MT003 unknown organization.
create or replace function repair_balances(p_org_id varchar, p_actor varchar default session_user)
returns table (balance text, user_id varchar, stated numeric, found numeric)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
    pool organization_credit_pools;
    wrong jsonb;
begin
    select * into pool from organization_credit_pools where org_id = p_org_id for no key update;
    if not found then
        raise exception 'organization "%" is not known', p_org_id using errcode = 'MT003';
    end if;

    with ledger as materialized (
        select outcome, allocation_id, period_no, sum(credits_used) as credits
        from credit_usage_attribution where org_id = p_org_id group by 1, 2, 3
    ),
    history as materialized (
        select balance, sum(credits) as credits from org_billing_history
        where org_id = p_org_id and balance is not null group by 1
    ),
    promised as (
        select coalesce(sum(allocated_credits), 0) as credits
        from user_credit_allocations where org_id = p_org_id and is_active
    ),
    compared as (
        select kept.balance, null::varchar as user_id, kept.stated, coalesce(sum(ledger.credits), 0) as found
        from (values ('used', 'charged', pool.used_credits), ('overage', 'overage', pool.overage_credits),
                     ('unfunded', 'unfunded', pool.unfunded_credits)) as kept (balance, outcome, stated)
        left join ledger on ledger.outcome::text = kept.outcome
        group by 1, 2, 3
        union all
        select kept.balance, null, kept.stated, coalesce(history.credits, 0)
        from (values ('total', pool.total_credits), ('overage_billed', pool.overage_billed_credits)) as kept (balance, stated)
        left join history using (balance)
        union all
        select 'allocated', null, kept.stated, promised.credits
        from promised
        cross join lateral (
            values (pool.allocated_credits), ((select coalesce(sum(credits), 0) from history where balance = 'allocated'))
        ) as kept (stated)
        union all
        select 'pending_voids', null, pool.pending_voids, (select count(*) from pending_voids where org_id = p_org_id)
        union all
        select 'used', allocation.user_id, allocation.used_credits, coalesce(sum(ledger.credits), 0)
        from user_credit_allocations allocation
        left join ledger on ledger.allocation_id = allocation.id and ledger.period_no = allocation.period_no
                            and ledger.outcome in ('charged', 'overage')
        where allocation.org_id = p_org_id
        group by allocation.user_id, allocation.used_credits
    )
    select jsonb_agg(distinct jsonb_build_object(
        'balance', balance, 'user_id', user_id, 'stated', stated::text, 'found', found::text))
    into wrong
    from compared where stated <> found;
    if wrong is null then
        return;
    end if;

    update organization_credit_pools kept
    set used_credits = coalesce(repaired.used, kept.used_credits),
        overage_credits = coalesce(repaired.overage, kept.overage_credits),
        unfunded_credits = coalesce(repaired.unfunded, kept.unfunded_credits),
        total_credits = coalesce(repaired.total, kept.total_credits),
        overage_billed_credits = coalesce(repaired.overage_billed, kept.overage_billed_credits),
        allocated_credits = coalesce(repaired.allocated, kept.allocated_credits),
        pending_voids = coalesce(repaired.pending_voids, kept.pending_voids)::integer,
        funding_cursor = case when coalesce(repaired.unfunded, kept.unfunded_credits) > 0 then 0 end,
        updated_at = now()
    from (
        select max(found) filter (where balance = 'used') as used, max(found) filter (where balance = 'overage') as overage,
               max(found) filter (where balance = 'unfunded') as unfunded, max(found) filter (where balance = 'total') as total,
               max(found) filter (where balance = 'overage_billed') as overage_billed,
               max(found) filter (where balance = 'allocated') as allocated,
               max(found) filter (where balance = 'pending_voids') as pending_voids
        from jsonb_to_recordset(wrong) as listed (balance text, user_id varchar, found numeric)
        where user_id is null
    ) as repaired
    where kept.org_id = p_org_id;
    update user_credit_allocations allocation
    set used_credits = listed.found, updated_at = now()
    from jsonb_to_recordset(wrong) as listed (user_id varchar, found numeric)
    where allocation.org_id = p_org_id and allocation.user_id = listed.user_id;

    insert into org_billing_history (org_id, event_type, user_id, actor, metadata)
    select p_org_id, 'balance_repaired', listed ->> 'user_id', p_actor, listed from jsonb_array_elements(wrong) as listed;
    -- The history of what is promised follows the allocations.
    insert into org_billing_history (org_id, event_type, balance, credits, actor)
    select p_org_id, 'balance_repaired', 'allocated', pool_now.allocated_credits - kept.credits, p_actor
    from organization_credit_pools pool_now
    cross join (
        select coalesce(sum(credits), 0) as credits from org_billing_history
        where org_id = p_org_id and balance = 'allocated'
    ) as kept
    where pool_now.org_id = p_org_id and pool_now.allocated_credits <> kept.credits;

    return query
        select listed.balance, listed.user_id, listed.stated, listed.found
        from jsonb_to_recordset(wrong) as listed (balance text, user_id varchar, stated numeric, found numeric)
        order by 2 nulls first, 1;
end
$$;
