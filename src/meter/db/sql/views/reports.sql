-- What people read, each with the rights of who reads it. One-to-many tables are summed before they are joined.
-- A void's own entry is no usage; what it reverses is an entry of its event.

-- The ledger's entries as they are shown: the id as published, and the USD that the credits stand for.
create or replace view credit_usage_entries with (security_invoker = true) as
select usage.org_id, usage.event_key, usage.entry, coalesce(usage.event_id, usage.event_key::text) as event_id,
       usage.source, usage.user_id, usage.allocation_id, usage.period_no, usage.credits_used, usage.outcome, usage.reason,
       usage.service_type, usage.service_name, usage.quantity, usage.key_source, usage.api_cost, usage.markup_applied,
       usage.credits_used * 0.001 as total_cost, usage.request_id, usage.request_metadata, usage.occurred_at, usage.created_at
from credit_usage_attribution usage;

-- One row an organization: plan, pool, members.
create or replace view org_billing_summary with (security_invoker = true) as
select organization.id as org_id, organization.name, organization.display_name, organization.status,
       subscription.id as subscription_id, subscription.plan, subscription.status as subscription_status,
       subscription.monthly_price, subscription.billing_cycle, subscription.current_period_end,
       pool.total_credits, pool.used_credits, pool.available_credits, pool.allocated_credits, pool.overage_credits,
       pool.overage_billed_credits, pool.unfunded_credits, pool.lifetime_purchased_credits, pool.lifetime_spent_amount,
       coalesce(members.members, 0) as members, coalesce(allocations.active_allocations, 0) as active_allocations,
       coalesce(allocations.remaining_credits, 0) as promised_credits
from organizations organization
join organization_credit_pools pool on pool.org_id = organization.id
left join organization_subscriptions subscription
       on subscription.org_id = organization.id and subscription.status <> 'canceled'
left join (select org_id, count(*) as members from organization_members group by org_id) as members
       on members.org_id = organization.id
left join (
    select org_id, count(*) as active_allocations, sum(remaining_credits) as remaining_credits
    from user_credit_allocations where is_active group by org_id
) as allocations on allocations.org_id = organization.id;

-- One row a user and organization: what the user may spend where.
create or replace view user_multi_org_credits with (security_invoker = true) as
select allocation.user_id, allocation.org_id, organization.name, member.role, allocation.id as allocation_id,
       allocation.allocated_credits, allocation.used_credits, allocation.remaining_credits, allocation.period_no,
       allocation.reset_period, allocation.last_reset_date, allocation.next_reset_date, allocation.is_active,
       pool.available_credits as pool_available_credits,
       case when allocation.is_active
            then least(allocation.remaining_credits, greatest(pool.available_credits, 0)) else 0 end as spendable_credits
from user_credit_allocations allocation
join organizations organization on organization.id = allocation.org_id
join organization_credit_pools pool on pool.org_id = allocation.org_id
left join organization_members member on member.org_id = allocation.org_id and member.user_id = allocation.user_id;

-- One row a user of an organization, the one who used most first.
create or replace view top_credit_users_by_org with (security_invoker = true) as
select usage.org_id, usage.user_id, usage.events, usage.credits,
       rank() over (partition by usage.org_id order by usage.credits desc) as position
from (
    select org_id, user_id, count(*) filter (where entry = 0) as events,
           coalesce(sum(credits_used) filter (where outcome in ('charged', 'overage')), 0) as credits
    from credit_usage_attribution
    where outcome <> 'void'
    group by org_id, user_id
) as usage;

-- One row: the business as a whole. MRR and ARR in USD, of subscriptions that are paid now.
create or replace view org_billing_metrics with (security_invoker = true) as
select subscriptions.*, pools.*
from (
    select count(*) as live_subscriptions,
           count(*) filter (where status = 'trialing') as trialing_subscriptions,
           coalesce(sum(monthly_price) filter (where status in ('active', 'past_due')), 0) as monthly_recurring_revenue,
           coalesce(sum(monthly_price) filter (where status in ('active', 'past_due')), 0) * 12 as annual_recurring_revenue
    from organization_subscriptions
    where status <> 'canceled'
) as subscriptions
cross join (
    select count(*) as organizations, coalesce(sum(total_credits), 0) as total_credits,
           coalesce(sum(used_credits), 0) as used_credits, coalesce(sum(available_credits), 0) as available_credits,
           coalesce(sum(overage_credits), 0) as overage_credits, coalesce(sum(unfunded_credits), 0) as unfunded_credits
    from organization_credit_pools
) as pools;

-- One row a service of an organization.
create or replace view credit_usage_by_service with (security_invoker = true) as
select org_id, service_type, service_name,
       count(*) filter (where entry = 0) as events,
       coalesce(sum(quantity) filter (where entry = 0), 0) as quantity,
       coalesce(sum(credits_used) filter (where outcome in ('charged', 'overage')), 0) as credits,
       coalesce(sum(credits_used) filter (where outcome = 'unfunded'), 0) as unfunded_credits,
       coalesce(sum(api_cost) filter (where entry = 0), 0) as api_cost,
       coalesce(sum(credits_used) filter (where outcome in ('charged', 'overage')), 0) * 0.001 as total_cost
from credit_usage_attribution
where outcome <> 'void'
group by org_id, service_type, service_name;
