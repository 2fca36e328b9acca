-- Cancels a subscription: at the end of its period, or at once. Usage is rated as without one from then on. One that is
-- canceled already, or is to end, stays as it is.
--
-- p_versions: of which one must be the present one; any where null. p_immediately: at once, also where an end is set already.
-- p_actor, p_request_id: kept in the history. p_acting_user: the member whose right is used; nobody's where null.
-- Returns: the subscription then. Locks: the pool, then the subscription.
-- Raises: MT003; MT030 the acting user is no admin or owner; MT031 no such subscription; MT032 it has another version;
--     MT033 its period has no end, so that it can only be canceled at once.
create or replace function cancel_subscription(
    p_org_id varchar, p_subscription_id uuid, p_versions integer[] default null, p_immediately boolean default false,
    p_actor varchar default session_user, p_request_id varchar default null, p_acting_user varchar default null
)
returns organization_subscriptions
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
    moment timestamptz;
    subscription organization_subscriptions;
begin
    perform lock_organization(p_org_id);
    perform require_administrator(p_org_id, p_acting_user);
    moment := clock_timestamp();
    subscription := subscription_at(p_org_id, p_subscription_id, p_versions, moment);
    if subscription.status = 'canceled' or (subscription.cancel_at is not null and not p_immediately) then
        return subscription;
    end if;
    if not p_immediately and subscription.current_period_end is null then
        raise exception 'the period of this subscription has no end' using errcode = 'MT033',
            hint = 'Cancel it immediately.';
    end if;
    -- Of a paused one the period may be over.
    subscription.cancel_at := case when p_immediately then moment else greatest(subscription.current_period_end, moment) end;
    if subscription.cancel_at = moment then
        subscription.status := 'canceled';
        subscription.canceled_at := moment;
    end if;
    subscription := keep_subscription(subscription, moment);
    insert into org_billing_history (org_id, event_type, subscription_id, actor, request_id, metadata)
    values (p_org_id, 'subscription_canceled', subscription.id, p_actor, p_request_id, jsonb_build_object(
        'immediately', p_immediately, 'cancel_at', subscription.cancel_at));
    return subscription;
end
$$;

-- The subscription of an organization as it is at a moment, for a change of a version that was read.
-- The caller holds the pool. Raises: MT031 no such subscription; MT032 it has another version.
create or replace function subscription_at(
    p_org_id varchar, p_subscription_id uuid, p_versions integer[], p_moment timestamptz
)
returns organization_subscriptions
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
    subscription organization_subscriptions;
begin
    select * into subscription from organization_subscriptions where org_id = p_org_id and id = p_subscription_id;
    if not found then
        raise exception 'no subscription of organization "%" has this id', p_org_id using errcode = 'MT031';
    end if;
    -- As it was read: what time alone has done since is no reason to refuse.
    if subscription.version <> all (p_versions) then
        raise exception 'the subscription changed since it was read' using errcode = 'MT032',
            hint = 'Read it again and decide anew.';
    end if;
    return advance_subscription(subscription, p_moment);
end
$$;
