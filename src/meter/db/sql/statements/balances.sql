-- What the read API asks about pools and allocations, as meter_reader.

-- name: read_pool
-- $1 user, $2 organization, $3 'yes' for who is held to no membership. Amounts as they travel, without zeros at the end.
select org_id, status, trim_scale(total_credits)::text, trim_scale(used_credits)::text, trim_scale(available_credits)::text,
       trim_scale(allocated_credits)::text, trim_scale(overage_credits)::text, trim_scale(overage_billed_credits)::text,
       trim_scale(unfunded_credits)::text, allow_overage, trim_scale(overage_limit)::text, trim_scale(overage_rate)::text,
       allocation_required, trim_scale(monthly_refresh_amount)::text, last_refresh_date, next_refresh_date,
       trim_scale(lifetime_purchased_credits)::text, trim_scale(lifetime_spent_amount)::text, updated_at
from read_credit_pool($1, $2, $3);

-- name: read_allocations
-- $1 organization, $2 the user id before the page, $3 rows at most.
select user_id, id as allocation_id, allocated_credits, used_credits, remaining_credits, period_no, reset_period,
       last_reset_date, next_reset_date, is_active, allocated_by, notes, created_at, updated_at
from user_credit_allocations
where org_id = $1 and user_id > $2
order by user_id
limit $3;

-- name: read_user_credits
-- $1 user, $2 the organization id before the page, $3 rows at most. Who is no member any more sees nothing of it.
select org_id, name, role, allocation_id, allocated_credits, used_credits, remaining_credits, period_no, reset_period,
       last_reset_date, next_reset_date, is_active, pool_available_credits, spendable_credits
from user_multi_org_credits
where user_id = $1 and org_id > $2 and role is not null
order by org_id
limit $3;

-- name: read_sufficiency
-- $1 organization, $2 user, $3 credits.
select has_sufficient_credits($1, $2, $3) as sufficient;
