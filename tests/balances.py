"""Every balance is the sum of its rows: the query that finds one that is not."""

#: "Always, for every organization", from the design: the organizations ($1) of which a balance is wrong.
WRONG_BALANCES = """
select pool.org_id from organization_credit_pools pool
where pool.org_id = any ($1) and (
    (pool.used_credits, pool.overage_credits, pool.unfunded_credits) <> (
        select coalesce(sum(credits_used) filter (where outcome = 'charged'), 0),
               coalesce(sum(credits_used) filter (where outcome = 'overage'), 0),
               coalesce(sum(credits_used) filter (where outcome = 'unfunded'), 0)
        from credit_usage_attribution u where u.org_id = pool.org_id)
    or (pool.total_credits, pool.allocated_credits, pool.overage_billed_credits) <> (
        select coalesce(sum(credits) filter (where balance = 'total'), 0),
               coalesce(sum(credits) filter (where balance = 'allocated'), 0),
               coalesce(sum(credits) filter (where balance = 'overage_billed'), 0)
        from org_billing_history h where h.org_id = pool.org_id)
    or pool.allocated_credits <> (select coalesce(sum(allocated_credits), 0) from user_credit_allocations a
                                  where a.org_id = pool.org_id and a.is_active)
    or exists (
        select from user_credit_allocations a
        left join (select allocation_id, period_no, sum(credits_used) as credits
                   from credit_usage_attribution u
                   where u.org_id = pool.org_id and outcome in ('charged', 'overage')
                   group by allocation_id, period_no) as taken
               on taken.allocation_id = a.id and taken.period_no = a.period_no
        where a.org_id = pool.org_id and a.used_credits <> coalesce(taken.credits, 0)))
"""
