-- What the read API asks about plans, money and the history of balances, as meter_reader.

-- name: read_billing_of_user
-- $1 user, $2 the organization id before the page, $3 rows at most. What the user could spend now, in each of the user's
-- organizations; the columns of an allocation are null where there is no active one.
select member.org_id, organization.name, organization.status, member.role, subscription.plan,
       subscription.status as subscription_status, subscription.current_period_end, pool.allocation_required,
       pool.available_credits as pool_available_credits, allocation.allocated_credits, allocation.used_credits,
       allocation.remaining_credits, allocation.next_reset_date,
       case when allocation.user_id is not null
            then least(allocation.remaining_credits, greatest(pool.available_credits, 0))
            when pool.allocation_required then 0
            else greatest(pool.available_credits, 0) end as spendable_credits
from organization_members member
join organizations organization on organization.id = member.org_id
join organization_credit_pools pool on pool.org_id = member.org_id
left join organization_subscriptions subscription
       on subscription.org_id = member.org_id and subscription.status <> 'canceled'
left join user_credit_allocations allocation
       on allocation.org_id = member.org_id and allocation.user_id = member.user_id and allocation.is_active
where member.user_id = $1 and member.org_id > $2
order by member.org_id
limit $3;

-- name: read_billing_of_organization
-- $1 organization.
select org_id, name, display_name, status, subscription_id, plan, subscription_status, monthly_price, billing_cycle,
       current_period_end, total_credits, used_credits, available_credits, allocated_credits, overage_credits,
       overage_billed_credits, unfunded_credits, lifetime_purchased_credits, lifetime_spent_amount, members,
       active_allocations, promised_credits
from org_billing_summary
where org_id = $1;

-- name: read_billing_metrics
select organizations, live_subscriptions, trialing_subscriptions, monthly_recurring_revenue, annual_recurring_revenue,
       total_credits, used_credits, available_credits, overage_credits, unfunded_credits
from org_billing_metrics;

-- name: read_subscription_distribution
-- Live subscriptions by plan and status; the revenue is of those that are paid now.
select plan, status, count(*) as subscriptions,
       coalesce(sum(monthly_price) filter (where status in ('active', 'past_due')), 0) as monthly_recurring_revenue
from organization_subscriptions
where status <> 'canceled'
group by plan, status
order by plan, status;

-- name: read_top_organizations
-- $1 rows at most. Those that paid most, and of those that paid the same, those that used most.
select pool.org_id, organization.name, subscription.plan, subscription.monthly_price, pool.lifetime_spent_amount,
       pool.used_credits, pool.overage_credits
from organization_credit_pools pool
join organizations organization on organization.id = pool.org_id
left join organization_subscriptions subscription
       on subscription.org_id = pool.org_id and subscription.status <> 'canceled'
order by pool.lifetime_spent_amount desc, pool.used_credits desc, pool.org_id
limit $1;

-- name: read_billing_history
-- $1 organization, $2 the id before the page, $3 and $4 recorded from (included) to (excluded), $5 event_type or null,
-- $6 rows at most. Newest first.
select id, event_type, balance, credits, amount, currency::text, user_id, subscription_id, lago_invoice_id, stripe_invoice_id,
       payment_status, period_start, period_end, metadata, actor, request_id, created_at
from org_billing_history
where org_id = $1 and id < $2 and created_at >= $3 and created_at < $4 and ($5::text is null or event_type = $5)
order by id desc
limit $6;
