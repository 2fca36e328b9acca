-- Sets every balance to the sum of its rows, for a ledger of which rows were written past settlement.
do $$
begin
    create temporary table sums on commit drop as
    select org_id, allocation_id, period_no, outcome::text as outcome, sum(credits_used) as credits
    from credit_usage_attribution
    group by 1, 2, 3, 4;
    update organization_credit_pools pool
    set used_credits = coalesce(total.charged, 0), overage_credits = coalesce(total.overage, 0),
        unfunded_credits = coalesce(total.unfunded, 0)
    from (select org_id, sum(credits) filter (where outcome = 'charged') as charged,
                 sum(credits) filter (where outcome = 'overage') as overage,
                 sum(credits) filter (where outcome = 'unfunded') as unfunded
          from sums group by org_id) as total
    where total.org_id = pool.org_id;
    update user_credit_allocations allocation
    set used_credits = total.credits
    from (select org_id, allocation_id, period_no, sum(credits) as credits
          from sums where outcome in ('charged', 'overage') and allocation_id is not null group by 1, 2, 3) as total
    where (total.org_id, total.allocation_id, total.period_no) = (allocation.org_id, allocation.id, allocation.period_no);
end
$$
