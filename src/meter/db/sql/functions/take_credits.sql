-- Takes what a batch asks from the allocations and pools of organizations that cover all of it: there the order of
-- events cannot matter.
--
-- org_ids: the organizations. account_...: the accounts; totals: what the fresh events of each ask, null without any;
-- allocation_ids, period_nos: what their rows were written with. short: for each organization whether it is left out.
-- Locks: allocations; the caller holds the pools.
-- Raises: MT010 when an allocation or pool does not cover what is asked of it or is not the one that was written, or an
--     organization is closed: nothing is taken then, and the caller finds out which.
create or replace function take_credits(
    org_ids varchar[], account_orgs integer[], account_users varchar[], totals numeric[],
    allocation_ids bigint[], period_nos integer[], short boolean[]
) returns void
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
    taken integer;
    asked integer;
begin
    update user_credit_allocations allocation
    set used_credits = allocation.used_credits + account.total, updated_at = now()
    from unnest(account_orgs, account_users, totals, allocation_ids, period_nos)
         as account (org, user_id, total, allocation_id, period_no)
    where account.total > 0 and account.allocation_id is not null and not short[account.org]
      and allocation.org_id = org_ids[account.org] and allocation.user_id = account.user_id
      and allocation.is_active and allocation.period_no = account.period_no
      and allocation.remaining_credits >= account.total;
    get diagnostics taken = row_count;
    select count(*) into asked
    from unnest(account_orgs, totals, allocation_ids) as account (org, total, allocation_id)
    where account.total > 0 and account.allocation_id is not null and not short[account.org];
    if taken <> asked then
        raise exception 'an allocation does not cover a batch' using errcode = 'MT010';
    end if;

    update organization_credit_pools pool
    set used_credits = pool.used_credits + wanted.total, updated_at = now()
    from (
        select account.org as no, sum(total) as total
        from unnest(account_orgs, totals) as account (org, total)
        where not short[account.org]
        group by account.org
        having sum(total) > 0
    ) as wanted
    where pool.org_id = org_ids[wanted.no] and pool.available_credits >= wanted.total;
    get diagnostics taken = row_count;
    select count(distinct account.org) into asked
    from unnest(account_orgs, totals) as account (org, total)
    where account.total > 0 and not short[account.org];
    if taken <> asked then
        raise exception 'a pool does not cover a batch' using errcode = 'MT010';
    end if;

    -- What the two updates could not see: those of whom nothing is taken, and closed organizations, which are few. Who has
    -- no allocation has no period either.
    if exists (
        select 1
        from unnest(account_orgs, account_users, totals, allocation_ids, period_nos)
             as account (org, user_id, total, allocation_id, period_no)
        join organization_credit_pools pool on pool.org_id = org_ids[account.org]
        left join user_credit_allocations allocation
               on allocation.org_id = pool.org_id and allocation.user_id = account.user_id and allocation.is_active
        where account.total is not null and not short[account.org]
          and (account.total = 0 or account.allocation_id is null)
          and (allocation.period_no is distinct from account.period_no
               or account.total > 0 and pool.allocation_required)
    ) or exists (
        select 1 from organizations organization
        where organization.status = 'closed' and organization.id = any (org_ids)
          and not short[array_position(org_ids, organization.id)]
          and exists (select 1 from unnest(account_orgs, totals) as account (org, total)
                      where account.total is not null and org_ids[account.org] = organization.id)
    ) then
        raise exception 'an account is not what was predicted' using errcode = 'MT010';
    end if;
end
$$;
