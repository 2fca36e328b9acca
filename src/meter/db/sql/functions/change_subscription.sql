-- Changes what an organization subscribes to. A null argument keeps what is set; a change that changes nothing records
-- nothing and leaves the version.
--
-- p_versions: of which one must be the present one; any where null. p_plan, p_billing_cycle: a new cycle begins a new period now.
-- p_monthly_price: USD a month; where null a new plan comes at its own price. p_paused: true pauses it, so that usage is
-- rated as without a subscription; false resumes it, in a new period where the paid one is over. p_withdraw: takes a
-- cancellation back that has not taken effect. p_actor, p_request_id: kept in the history. p_acting_user: the member whose
-- right is used; nobody's where null.
-- Returns: the subscription then; whether it changed; where what is paid changed, the credit for the old and the charge for
--     the new from now to the end of the period, in USD: null where a cycle is custom, both 0 in a trial.
-- Locks: the pool, then the subscription.
-- Raises: MT003, MT005, MT006; MT030 the acting user is no admin or owner; MT031 no such subscription; MT032 it has another
--     version; MT033 it is canceled, or paused and not resumed, or a new cycle is wanted of one that is to end.
create or replace function change_subscription(
    p_org_id varchar, p_subscription_id uuid, p_versions integer[] default null, p_plan text default null,
    p_billing_cycle text default null, p_monthly_price numeric default null, p_paused boolean default null,
    p_withdraw boolean default false, p_actor varchar default session_user, p_request_id varchar default null,
    p_acting_user varchar default null
)
returns table (subscription organization_subscriptions, changed boolean, credit numeric, charge numeric)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_variable
declare
    moment timestamptz;
    before organization_subscriptions;
    terms record;
begin
    perform lock_organization(p_org_id);
    perform require_administrator(p_org_id, p_acting_user);
    moment := clock_timestamp();
    subscription := subscription_at(p_org_id, p_subscription_id, p_versions, moment);
    perform lock_open_organization(p_org_id);
    if subscription.status = 'canceled' then
        raise exception 'the subscription is canceled' using errcode = 'MT033', hint = 'Start a new one.';
    end if;
    before := subscription;
    if p_withdraw then
        subscription.cancel_at := null;
    end if;
    subscription := subscription_paused(subscription, p_paused, moment);
    select * into terms
    from subscription_with_terms(subscription, p_plan, p_billing_cycle, p_monthly_price, moment);
    subscription := terms.subscription;
    credit := terms.credit;
    charge := terms.charge;
    changed := subscription is distinct from before;
    if changed then
        subscription := keep_subscription(subscription, moment);
        perform note_subscription_changes(before, subscription, credit, charge, p_actor, p_request_id);
    end if;
    return next;
end
$$;

-- A subscription, paused or resumed. p_paused: null keeps what is set.
create or replace function subscription_paused(
    p_subscription organization_subscriptions, p_paused boolean, p_moment timestamptz
)
returns organization_subscriptions
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    subscription organization_subscriptions := p_subscription;
begin
    if p_paused then
        subscription.status := 'paused';
    elsif not p_paused and subscription.status = 'paused' then
        subscription.status := case when subscription.trial_ends_at > p_moment then 'trialing' else 'active' end;
        if subscription.current_period_end <= p_moment then
            subscription.period_anchor := p_moment;
            select * into subscription.current_period_start, subscription.current_period_end
            from subscription_period(p_moment, subscription.billing_cycle, p_moment);
        end if;
    end if;
    return subscription;
end
$$;

-- A subscription with other terms, and what that means for what is paid; null terms are kept.
-- Returns, raises: as change_subscription.
create or replace function subscription_with_terms(
    p_subscription organization_subscriptions, p_plan text, p_billing_cycle text, p_monthly_price numeric,
    p_moment timestamptz, out subscription organization_subscriptions, out credit numeric, out charge numeric
)
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    months_before constant integer := billing_cycle_months(p_subscription.billing_cycle);
    months_now integer;
    -- The part of the period that is still to come.
    rest numeric;
begin
    subscription := p_subscription;
    subscription.plan := coalesce(p_plan, p_subscription.plan);
    subscription.billing_cycle := coalesce(p_billing_cycle, p_subscription.billing_cycle);
    subscription.monthly_price := check_subscription_terms(
        subscription.plan, subscription.billing_cycle,
        coalesce(p_monthly_price, case when subscription.plan = p_subscription.plan then p_subscription.monthly_price end));
    if subscription is not distinct from p_subscription then
        return;
    elsif subscription.status = 'paused' then
        raise exception 'the subscription is paused' using errcode = 'MT033', hint = 'Resume it to change it.';
    end if;

    months_now := billing_cycle_months(subscription.billing_cycle);
    if subscription.status = 'trialing' then
        credit := 0;
        charge := 0;
        return;
    end if;
    rest := extract(epoch from p_subscription.current_period_end - p_moment)
            / extract(epoch from p_subscription.current_period_end - p_subscription.current_period_start);
    if subscription.billing_cycle <> p_subscription.billing_cycle then
        if subscription.cancel_at is not null then
            raise exception 'the subscription is to end' using errcode = 'MT033',
                hint = 'Withdraw its cancellation to change its billing cycle.';
        end if;
        subscription.period_anchor := p_moment;
        select * into subscription.current_period_start, subscription.current_period_end
        from subscription_period(p_moment, subscription.billing_cycle, p_moment);
    end if;
    if months_now is not null and months_before is not null then
        credit := round(p_subscription.monthly_price * months_before * rest, 2);
        charge := round(subscription.monthly_price * months_now
                        * case when months_now = months_before then rest else 1 end, 2);
    end if;
end
$$;

-- Notes what became of a subscription, one row for each kind of change.
create or replace function note_subscription_changes(
    p_before organization_subscriptions, p_after organization_subscriptions, p_credit numeric, p_charge numeric,
    p_actor varchar, p_request_id varchar
)
returns void
language sql volatile
set search_path = public, pg_temp
as $$
    insert into org_billing_history (
        org_id, event_type, subscription_id, amount, currency, payment_status, period_start, period_end, metadata, actor,
        request_id
    )
    select p_after.org_id, happened.event_type, p_after.id, happened.amount,
           case when happened.amount is not null then 'USD' end, case when happened.amount is not null then 'pending' end,
           p_after.current_period_start, p_after.current_period_end, happened.metadata, p_actor, p_request_id
    from (
        select case when p_after.monthly_price > p_before.monthly_price then 'subscription_upgraded'
                    when p_after.monthly_price < p_before.monthly_price then 'subscription_downgraded'
                    else 'subscription_changed' end,
               nullif(p_charge - p_credit, 0),
               jsonb_build_object(
                   'from', subscription_terms(p_before), 'to', subscription_terms(p_after),
                   'credit', p_credit::text, 'charge', p_charge::text)
        where (p_before.plan, p_before.billing_cycle, p_before.monthly_price)
              <> (p_after.plan, p_after.billing_cycle, p_after.monthly_price)
        union all
        select case p_after.status when 'paused' then 'subscription_paused' else 'subscription_resumed' end, null, '{}'::jsonb
        where (p_before.status = 'paused') <> (p_after.status = 'paused')
        union all
        select 'subscription_cancellation_withdrawn', null, '{}'::jsonb
        where p_before.cancel_at is not null and p_after.cancel_at is null
    ) as happened (event_type, amount, metadata)
$$;

-- The terms of a subscription as the history keeps them.
create or replace function subscription_terms(p_subscription organization_subscriptions) returns jsonb
language sql immutable
set search_path = public, pg_temp
as $$
    select jsonb_build_object('plan', p_subscription.plan, 'billing_cycle', p_subscription.billing_cycle,
                              'monthly_price', p_subscription.monthly_price::text)
$$;
