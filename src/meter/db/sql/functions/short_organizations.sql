-- The organizations of a batch whose pool and allocations do not cover all that it asks, or for which something was
-- predicted wrongly: there events are decided one by one. For all others the order in the batch cannot matter.
--
-- org_ids: the organizations. account_...: the accounts; totals: what the fresh events of each ask, null without any.
-- outcomes, allocation_ids, period_nos: what the rows were written with.
-- Returns: for each organization whether it is short.
-- Locks: none; the caller holds the pools of all fresh events.
create or replace function short_organizations(
    org_ids varchar[], account_orgs integer[], account_users varchar[], totals numeric[],
    outcomes usage_outcome[], allocation_ids bigint[], period_nos integer[]
) returns boolean[]
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    org_requires boolean[];
    org_short boolean[];
begin
    select array_agg(pool.allocation_required order by asked.no),
           array_agg(asked.total is not null
                     and (asked.total > pool.available_credits or organization.status <> 'active') order by asked.no)
    into org_requires, org_short
    from (
        select account.org as no, sum(total) as total
        from unnest(account_orgs, totals) as account (org, total)
        group by account.org
    ) as asked
    left join organization_credit_pools pool on pool.org_id = org_ids[asked.no]
    left join organizations organization on organization.id = pool.org_id;

    return array(
        select org_short[asked.org] or asked.short
        from (
            select account.org,
                   bool_or(account.total is not null
                           and (account.outcome <> 'charged'
                                or account.allocation_id is distinct from allocation.id
                                or account.period_no is distinct from allocation.period_no
                                or case when allocation.id is null then org_requires[account.org]
                                        else account.total > allocation.remaining_credits end)) as short
            from unnest(account_orgs, account_users, totals, outcomes, allocation_ids, period_nos)
                 as account (org, user_id, total, outcome, allocation_id, period_no)
            left join user_credit_allocations allocation
                   on allocation.org_id = org_ids[account.org] and allocation.user_id = account.user_id
                      and allocation.is_active
            group by account.org
        ) as asked
        order by asked.org
    );
end
$$;
