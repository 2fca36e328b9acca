-- Predicts what becomes of the events of each account, from balances read before any lock: right nearly always, and
-- corrected where it was wrong. A closed organization is not predicted: it is rare, and seldom gets usage.
--
-- org_ids: the organizations of a batch. account_orgs, account_users: its accounts. least_credits: the least that a
-- priced event of each account asks, null without any.
-- Returns: for each account the outcome (null: the organization is unknown) and reason that its priced events are written
--     with, and its active allocation with its period, null where it has none.
-- Locks: none.
create or replace function forecast_usage(
    org_ids varchar[], account_orgs integer[], account_users varchar[], least_credits numeric[],
    out outcomes usage_outcome[], out reasons unfunded_reason[], out allocation_ids bigint[], out period_nos integer[]
)
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    known boolean[];
    requires boolean[];
    available numeric[];
    rooms numeric[];
begin
    select array_agg(pool.org_id is not null order by org.no), array_agg(pool.allocation_required order by org.no),
           array_agg(pool.available_credits order by org.no),
           array_agg(case when pool.allow_overage
                          then pool.overage_limit - pool.overage_credits + pool.overage_billed_credits end order by org.no)
    into known, requires, available, rooms
    from unnest(org_ids) with ordinality as org (id, no)
    left join organization_credit_pools pool on pool.org_id = org.id;

    select array_agg(case when not known[org] then null when reason is not null then 'unfunded'
                          when least_one is null or available[org] >= least_one then 'charged'
                          else 'overage' end::usage_outcome order by no),
           array_agg(reason order by no), array_agg(allocation_id order by no), array_agg(period_no order by no)
    into outcomes, reasons, allocation_ids, period_nos
    from (
        select account.no, account.org, account.least_one, allocation.id as allocation_id, allocation.period_no,
               case when allocation.id is null and requires[account.org] then 'no_allocation'
                    when allocation.remaining_credits < account.least_one then 'allocation_exhausted'
                    when available[account.org] >= account.least_one or rooms[account.org] >= account.least_one
                         or account.least_one is null then null
                    else 'pool_exhausted' end::unfunded_reason as reason
        from unnest(account_orgs, account_users, least_credits) with ordinality as account (org, user_id, least_one, no)
        left join user_credit_allocations allocation
               on allocation.org_id = org_ids[account.org] and allocation.user_id = account.user_id and allocation.is_active
    ) as accounts;
end
$$;
