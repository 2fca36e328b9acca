-- What meter reconcile asks, as meter_admin, in one snapshot; $1, where nothing else is said: an organization, or null
-- for all.

-- name: ledger_size
-- Blocks of the ledger that can hold rows of this snapshot.
select pg_relation_size('credit_usage_attribution') / current_setting('block_size')::integer;

-- name: sums_of_blocks
-- $1 and $2: the first block and the one after the last. An account is an allocation in one of its periods.
select org_id, outcome::text, case when outcome in ('charged', 'overage') then allocation_id end as allocation_id,
       case when outcome in ('charged', 'overage') then period_no end as period_no, sum(credits_used) as credits
from credit_usage_attribution
where ctid >= format('(%s,0)', $1::bigint)::tid and ctid < format('(%s,0)', $2::bigint)::tid
  and outcome in ('charged', 'overage', 'unfunded')
group by 1, 2, 3, 4;

-- name: sums_of_organization
-- The same of one organization, by its key.
select org_id, outcome::text, case when outcome in ('charged', 'overage') then allocation_id end as allocation_id,
       case when outcome in ('charged', 'overage') then period_no end as period_no, sum(credits_used) as credits
from credit_usage_attribution
where org_id = $1 and outcome in ('charged', 'overage', 'unfunded')
group by 1, 2, 3, 4;

-- name: sums_of_history
select org_id, balance, sum(credits) as credits
from org_billing_history
where ($1::text is null or org_id = $1) and balance is not null
group by 1, 2;

-- name: stated_pools
select pool.org_id, pool.used_credits as used, pool.overage_credits as overage, pool.unfunded_credits as unfunded,
       pool.total_credits as total, pool.overage_billed_credits as overage_billed, pool.allocated_credits as allocated,
       pool.pending_voids, coalesce(waiting.voids, 0) as waiting_voids
from organization_credit_pools pool
left join (select org_id, count(*) as voids from pending_voids group by org_id) as waiting on waiting.org_id = pool.org_id
where $1::text is null or pool.org_id = $1
order by pool.org_id;

-- name: stated_allocations
select org_id, user_id, id, period_no, used_credits as used, case when is_active then allocated_credits else 0 end as promised
from user_credit_allocations
where $1::text is null or org_id = $1
order by org_id, user_id;

-- name: repair_balances
-- $1 organization; $2 who.
select balance, user_id, stated, found from repair_balances($1, $2);
