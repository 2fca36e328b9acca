-- Starts the subscription of an organization: its usage from now on is rated by the plan.
--
-- p_plan: platform, byok or hybrid. p_billing_cycle: monthly, yearly or custom. p_monthly_price: USD; the plan's where
-- null. p_trial_days: the trial's length, none where null.
-- Returns: the subscription's id. Locks: the pool.
-- Raises: MT003 unknown organization; MT004 it has a live subscription; MT005 closed; MT006 an argument outside the contract.
create or replace function start_subscription(
    p_org_id varchar, p_plan text, p_billing_cycle text default 'monthly', p_monthly_price numeric default null,
    p_trial_days integer default null, p_actor varchar default session_user
)
returns uuid
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
    price numeric;
    subscription uuid;
begin
    select coalesce(p_monthly_price, monthly_price) into price from subscription_plans where plan = p_plan;
    if not found then
        raise exception 'the plan must be platform, byok or hybrid' using errcode = 'MT006';
    end if;
    if p_billing_cycle not in ('monthly', 'yearly', 'custom') or price < 0 or p_trial_days < 0 then
        raise exception 'the billing cycle must be monthly, yearly or custom, price and trial at least 0' using errcode = 'MT006';
    end if;
    perform lock_open_organization(p_org_id);
    if exists (select 1 from organization_subscriptions where org_id = p_org_id and status <> 'canceled') then
        raise exception 'organization "%" has a live subscription', p_org_id using errcode = 'MT004';
    end if;
    insert into organization_subscriptions (
        org_id, plan, monthly_price, billing_cycle, status, trial_ends_at, current_period_end
    )
    values (p_org_id, p_plan, price, p_billing_cycle, case when p_trial_days > 0 then 'trialing' else 'active' end,
            case when p_trial_days > 0 then now() + make_interval(days => p_trial_days) end,
            case p_billing_cycle when 'monthly' then now() + interval '1 month' when 'yearly' then now() + interval '1 year' end)
    returning id into subscription;
    insert into organization_plan_history (org_id, valid_from, plan) values (p_org_id, now(), p_plan);
    insert into org_billing_history (org_id, event_type, subscription_id, actor, metadata)
    values (p_org_id, 'subscription_started', subscription, p_actor, jsonb_build_object(
        'plan', p_plan, 'billing_cycle', p_billing_cycle, 'monthly_price', price));
    return subscription;
end
$$;
