-- Writes a subscription as it is from a moment on, under its next version, and sets by which plan usage is rated.
--
-- p_subscription: how it is to be; the caller holds the pool of its organization. p_moment: since when.
-- Returns: it as written. Locks: its row.
create or replace function keep_subscription(p_subscription organization_subscriptions, p_moment timestamptz)
returns organization_subscriptions
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
    kept organization_subscriptions;
begin
    update organization_subscriptions
    set plan = p_subscription.plan,
        monthly_price = p_subscription.monthly_price,
        billing_cycle = p_subscription.billing_cycle,
        status = p_subscription.status,
        current_period_start = p_subscription.current_period_start,
        current_period_end = p_subscription.current_period_end,
        period_anchor = p_subscription.period_anchor,
        cancel_at = p_subscription.cancel_at,
        canceled_at = p_subscription.canceled_at,
        version = version + 1,
        updated_at = p_moment
    where org_id = p_subscription.org_id and id = p_subscription.id
    returning * into kept;
    perform note_plan(kept, p_moment);
    return kept;
end
$$;

-- Writes by which plan an organization's usage is rated from a moment on, and from when a cancellation ends that.
-- A paused or canceled subscription counts as none: usage is rated as on plan platform (null).
--
-- p_subscription: the organization's latest; the caller holds the pool. p_moment: since when.
create or replace function note_plan(p_subscription organization_subscriptions, p_moment timestamptz) returns void
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
    plan_now constant text := case when p_subscription.status not in ('paused', 'canceled') then p_subscription.plan end;
    since timestamptz;
    plan_before text;
begin
    -- A cancellation that ended already holds since then, however late it is looked at.
    since := least(p_moment, p_subscription.canceled_at);
    -- Every statement on this table makes workers rate anew what they have in hand.
    if exists (select from organization_plan_history where org_id = p_subscription.org_id and valid_from > since) then
        delete from organization_plan_history where org_id = p_subscription.org_id and valid_from > since;
    end if;
    select history.plan into plan_before from organization_plan_history history
    where history.org_id = p_subscription.org_id
    order by history.valid_from desc
    limit 1;
    if plan_now is distinct from plan_before then
        insert into organization_plan_history (org_id, valid_from, plan) values (p_subscription.org_id, since, plan_now)
        on conflict (org_id, valid_from) do update set plan = excluded.plan;
    end if;
    if plan_now is not null and p_subscription.cancel_at > since then
        insert into organization_plan_history (org_id, valid_from, plan)
        values (p_subscription.org_id, p_subscription.cancel_at, null);
    end if;
end
$$;
