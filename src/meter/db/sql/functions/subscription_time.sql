-- What time does to a subscription: trials end, periods begin, cancellations take effect.

-- Months of a billing cycle; null where it has no length of its own.
create or replace function billing_cycle_months(p_billing_cycle text) returns integer
language sql immutable
set search_path = public, pg_temp
as $$
    select case p_billing_cycle when 'monthly' then 1 when 'yearly' then 12 end
$$;

-- A moment so many months later, in UTC.
create or replace function months_after(p_from timestamptz, p_months integer) returns timestamptz
language sql immutable
set search_path = public, pg_temp
as $$
    select (p_from at time zone 'UTC' + make_interval(months => p_months)) at time zone 'UTC'
$$;

-- The period around a moment: whole months or years from an anchor; from the anchor on without end where the cycle is custom.
--
-- p_anchor: when a period began. p_billing_cycle: monthly, yearly or custom. p_at: the moment, not before the anchor.
-- Returns: when the period begins and ends.
create or replace function subscription_period(
    p_anchor timestamptz, p_billing_cycle text, p_at timestamptz, out period_start timestamptz, out period_end timestamptz
)
language plpgsql immutable
set search_path = public, pg_temp
as $$
declare
    cycle constant integer := billing_cycle_months(p_billing_cycle);
    anchor constant timestamp := p_anchor at time zone 'UTC';
    moment constant timestamp := p_at at time zone 'UTC';
    months integer;
begin
    if cycle is null then
        period_start := p_anchor;
        return;
    end if;
    months := 12 * (extract(year from moment) - extract(year from anchor)) + extract(month from moment) - extract(month from anchor);
    months := months / cycle * cycle;
    -- In the month of the moment the period may begin after it.
    if months_after(p_anchor, months) > p_at then
        months := months - cycle;
    end if;
    period_start := months_after(p_anchor, months);
    period_end := months_after(p_anchor, months + cycle);
end
$$;

-- Brings a subscription to a moment and notes what changed. Who may spend by which plan is known beforehand (note_plan).
--
-- p_subscription: as it stands; the caller holds the pool of its organization. p_moment: not before its last change.
-- Returns: the subscription as it is then. Locks: its row.
create or replace function advance_subscription(p_subscription organization_subscriptions, p_moment timestamptz)
returns organization_subscriptions
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
    subscription organization_subscriptions := p_subscription;
    happened text;
begin
    if subscription.status = 'canceled' then
        return subscription;
    elsif subscription.cancel_at <= p_moment then
        subscription.status := 'canceled';
        subscription.canceled_at := subscription.cancel_at;
        happened := 'subscription_ended';
    elsif subscription.status <> 'paused' and subscription.current_period_end <= p_moment then
        happened := 'subscription_period_began';
        if subscription.status = 'trialing' then
            subscription.status := 'active';
            happened := 'subscription_trial_ended';
        end if;
        select * into subscription.current_period_start, subscription.current_period_end
        from subscription_period(subscription.period_anchor, subscription.billing_cycle, p_moment);
    else
        return subscription;
    end if;
    subscription := keep_subscription(subscription, p_moment);
    insert into org_billing_history (org_id, event_type, subscription_id, period_start, period_end, actor)
    values (subscription.org_id, happened, subscription.id, subscription.current_period_start,
            subscription.current_period_end, session_user);
    return subscription;
end
$$;

-- Brings the subscriptions whose time has come to the present. Called by workers again and again; several may at once.
--
-- p_limit: how many organizations at most. Returns: how many subscriptions changed.
-- Locks: pools in the order of their ids, passing over those that others hold; then subscriptions under them.
create or replace function advance_subscriptions(p_limit integer default 100) returns integer
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
    due_orgs varchar[];
    held_orgs varchar[];
    due organization_subscriptions;
    moment timestamptz;
    advanced integer := 0;
begin
    select array_agg(late.org_id) into due_orgs
    from (
        select org_id from organization_subscriptions
        where status <> 'canceled' and least(cancel_at, case when status <> 'paused' then current_period_end end) <= now()
        order by least(cancel_at, case when status <> 'paused' then current_period_end end)
        limit p_limit
    ) as late;
    if due_orgs is null then
        return 0;
    end if;
    select array_agg(pool.org_id) into held_orgs
    from (
        select org_id from organization_credit_pools
        where org_id = any (due_orgs)
        order by org_id
        for no key update skip locked
    ) as pool;

    -- Read anew, now that nobody else can change them: others may have done some meanwhile.
    moment := clock_timestamp();
    for due in
        select * from organization_subscriptions
        where org_id = any (held_orgs) and status <> 'canceled'
          and least(cancel_at, case when status <> 'paused' then current_period_end end) <= moment
    loop
        perform advance_subscription(due, moment);
        advanced := advanced + 1;
    end loop;
    return advanced;
end
$$;
