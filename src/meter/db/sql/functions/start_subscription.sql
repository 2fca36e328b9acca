-- Starts the subscription of an organization: its usage from now on is rated by the plan.
--
-- p_plan: platform, byok or hybrid. p_billing_cycle: monthly, yearly or custom. p_monthly_price: USD a month; the plan's
-- where null. p_trial_days: the trial's length, at most 730, none where null; the first paid period begins after it.
-- By a member's right a trial has at most 90 days, and an organization has one.
-- p_actor: who did it. p_request_id: kept in the history. p_acting_user: the member whose right is used; nobody's where null.
-- Returns: the subscription. Locks: the pool.
-- Raises: MT003 unknown organization; MT005 closed; MT006 an argument outside the contract; MT030 the acting user is no
--     admin or owner; MT033 the organization has a live subscription, or had its trial.
create or replace function start_subscription(
    p_org_id varchar, p_plan text, p_billing_cycle text default 'monthly', p_monthly_price numeric default null,
    p_trial_days integer default null, p_actor varchar default session_user, p_request_id varchar default null,
    p_acting_user varchar default null
)
returns organization_subscriptions
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
    price numeric;
    moment timestamptz;
    trial_end timestamptz;
    subscription organization_subscriptions;
begin
    price := check_subscription_terms(p_plan, p_billing_cycle, p_monthly_price);
    if p_trial_days not between 0 and (case when p_acting_user is null then 730 else 90 end) then
        raise exception 'trial_days must be from 0 to 90; system admins give up to 730' using errcode = 'MT006';
    end if;
    perform lock_open_organization(p_org_id);
    perform require_administrator(p_org_id, p_acting_user);
    -- After the lock: whatever was changed before it happened earlier.
    moment := clock_timestamp();
    select * into subscription from organization_subscriptions where org_id = p_org_id and status <> 'canceled';
    if found then
        subscription := advance_subscription(subscription, moment);
        if subscription.status <> 'canceled' then
            raise exception 'organization "%" has a live subscription', p_org_id
                using errcode = 'MT033', hint = 'Change it, or cancel it first.';
        end if;
    end if;

    if p_acting_user is not null and p_trial_days > 0 and exists (
        select from organization_subscriptions where org_id = p_org_id and trial_ends_at is not null
    ) then
        raise exception 'organization "%" had its trial', p_org_id using errcode = 'MT033', hint = 'Start without one.';
    end if;
    trial_end := case when p_trial_days > 0 then moment + make_interval(hours => 24 * p_trial_days) end;
    insert into organization_subscriptions (
        org_id, plan, monthly_price, billing_cycle, status, trial_ends_at, period_anchor, current_period_start,
        current_period_end, created_at, updated_at
    )
    values (p_org_id, p_plan, price, p_billing_cycle, case when trial_end is null then 'active' else 'trialing' end,
            trial_end, coalesce(trial_end, moment), moment,
            coalesce(trial_end, (subscription_period(moment, p_billing_cycle, moment)).period_end), moment, moment)
    returning * into subscription;
    perform note_plan(subscription, moment);
    insert into org_billing_history (org_id, event_type, subscription_id, actor, request_id, metadata)
    values (p_org_id, 'subscription_started', subscription.id, p_actor, p_request_id, jsonb_build_object(
        'plan', p_plan, 'billing_cycle', p_billing_cycle, 'monthly_price', price::text, 'trial_days', coalesce(p_trial_days, 0)));
    return subscription;
end
$$;

-- Holds the terms of a subscription to the contract. Returns: the price a month in USD, the plan's where none is given.
-- Raises: MT006.
create or replace function check_subscription_terms(p_plan text, p_billing_cycle text, p_monthly_price numeric)
returns numeric
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    price numeric;
begin
    select coalesce(p_monthly_price, monthly_price) into price from subscription_plans where plan = p_plan;
    if not found then
        raise exception 'the plan must be platform, byok or hybrid' using errcode = 'MT006';
    end if;
    if p_billing_cycle is null or p_billing_cycle not in ('monthly', 'yearly', 'custom') then
        raise exception 'the billing cycle must be monthly, yearly or custom' using errcode = 'MT006';
    end if;
    if price = 'NaN' or price < 0 or price >= 1e10 or price <> round(price, 2) then
        raise exception 'the monthly price must be from 0 to 9999999999.99 USD with at most two decimal places'
            using errcode = 'MT006';
    end if;
    return price;
end
$$;
