"""Every balance is the sum of its rows: the query that finds one that is not."""

#: "Always, for every organization", from the design: the organizations ($1) of which a balance is wrong.
WRONG_BALANCES = """
select pool.org_id from organization_credit_pools pool
where pool.org_id = any ($1) and (
    pool.used_credits <> (select coalesce(sum(credits_used), 0) from credit_usage_attribution u
                          where u.org_id = pool.org_id and outcome = 'charged')
    or pool.overage_credits <> (select coalesce(sum(credits_used), 0) from credit_usage_attribution u
                                where u.org_id = pool.org_id and outcome = 'overage')
    or pool.unfunded_credits <> (select coalesce(sum(credits_used), 0) from credit_usage_attribution u
                                 where u.org_id = pool.org_id and outcome = 'unfunded')
    or pool.total_credits <> (select coalesce(sum(credits), 0) from org_billing_history h
                              where h.org_id = pool.org_id and balance = 'total')
    or pool.allocated_credits <> (select coalesce(sum(credits), 0) from org_billing_history h
                                  where h.org_id = pool.org_id and balance = 'allocated')
    or exists (select 1 from user_credit_allocations a where a.org_id = pool.org_id and a.used_credits <> (
        select coalesce(sum(credits_used), 0) from credit_usage_attribution u
        where u.org_id = a.org_id and u.allocation_id = a.id and u.period_no = a.period_no
          and outcome in ('charged', 'overage'))))
"""
