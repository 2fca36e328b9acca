-- Creates an organization with its pool, in one transaction.
--
-- p_id: 1 to 36 characters, [A-Za-z0-9][A-Za-z0-9._:-]*, no reserved word. p_name: unique; the id where null.
-- p_actor, p_request_id: kept in the history. p_owner: becomes its owner; nobody where null.
-- Returns: whether it was created; false where the same organization is there already.
-- Raises: MT006 an argument outside the contract, or the id was purged; MT038 the id or name is taken by another.
create or replace function create_organization(
    p_id varchar, p_name varchar default null, p_display_name varchar default null, p_max_seats integer default null,
    p_actor varchar default session_user, p_request_id varchar default null, p_owner varchar default null
)
returns boolean
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
begin
    if p_id is null or length(p_id) > 36 or p_id !~ '^[A-Za-z0-9][A-Za-z0-9._:-]*$'
       or p_id in ('user', 'org', 'system', 'deduct') then
        raise exception 'an organization id has 1 to 36 letters, digits and . _ : -, begins with a letter or digit, and is not user, org, system or deduct'
            using errcode = 'MT006';
    end if;
    if exists (select 1 from purged_organizations where org_id = p_id) then
        raise exception 'organization id "%" was purged and is not used again', p_id using errcode = 'MT006';
    end if;
    insert into organizations (id, name, display_name, max_seats)
    values (p_id, coalesce(p_name, p_id), coalesce(p_display_name, p_name, p_id), p_max_seats)
    on conflict do nothing;
    if not found then
        if exists (select 1 from organizations where id = p_id and name = coalesce(p_name, p_id)) then
            return false;
        end if;
        raise exception 'organization id "%" or name "%" is taken', p_id, coalesce(p_name, p_id) using errcode = 'MT038';
    end if;
    insert into organization_credit_pools (org_id) values (p_id);
    insert into org_billing_history (org_id, event_type, actor, request_id)
    values (p_id, 'organization_created', p_actor, p_request_id);
    if p_owner is not null then
        perform add_organization_member(p_id, p_owner, 'owner', p_actor, p_request_id);
    end if;
    return true;
end
$$;

-- Says how an organization's usage is taken: whether users need an allocation, and whether and how far it may overdraw.
-- A null argument keeps what is set. Settles what was unfunded and fits now.
--
-- p_overage_limit: credits not yet billed, at most. p_overage_rate: USD a credit. Returns: how many events were funded.
-- Locks: the pool. Raises: MT003, MT005, MT006.
create or replace function set_pool_terms(
    p_org_id varchar, p_allocation_required boolean default null, p_allow_overage boolean default null,
    p_overage_limit numeric default null, p_overage_rate numeric default null, p_actor varchar default session_user
)
returns integer
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
begin
    perform check_credits('overage_limit', coalesce(p_overage_limit, 0)), check_credits('overage_rate', coalesce(p_overage_rate, 0));
    perform lock_open_organization(p_org_id);
    update organization_credit_pools
    set allocation_required = coalesce(p_allocation_required, allocation_required),
        allow_overage = coalesce(p_allow_overage, allow_overage),
        overage_limit = coalesce(p_overage_limit, overage_limit),
        overage_rate = coalesce(p_overage_rate, overage_rate),
        updated_at = now()
    where org_id = p_org_id;
    insert into org_billing_history (org_id, event_type, actor, metadata)
    values (p_org_id, 'pool_terms_set', p_actor, jsonb_strip_nulls(jsonb_build_object(
        'allocation_required', p_allocation_required, 'allow_overage', p_allow_overage,
        'overage_limit', p_overage_limit, 'overage_rate', p_overage_rate)));
    return request_funding(p_org_id);
end
$$;

-- Closes an organization: its usage from now on is recorded as unfunded. Returns: whether it was open.
-- Locks: the pool. Raises: MT003.
create or replace function close_organization(p_org_id varchar, p_actor varchar default session_user) returns boolean
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
begin
    perform lock_pools(array[p_org_id]);
    update organizations set status = 'closed', closed_at = now() where id = p_org_id and status = 'active';
    if not found then
        return false;
    end if;
    insert into org_billing_history (org_id, event_type, actor) values (p_org_id, 'organization_closed', p_actor);
    return true;
exception when sqlstate 'MT008' then
    raise exception 'organization "%" is not known', p_org_id using errcode = 'MT003';
end
$$;

-- Removes an organization with everything of it, and leaves a tombstone: its id is not used again. For the owner only.
-- Returns: how many ledger entries were removed. Locks: the pool, then the row of usage_rollup_state. Raises: MT003.
create or replace function purge_organization(p_org_id varchar, p_actor varchar default session_user) returns bigint
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
    removed bigint;
begin
    perform 1 from organization_credit_pools where org_id = p_org_id for update;
    if not found then
        raise exception 'organization "%" is not known', p_org_id using errcode = 'MT003';
    end if;
    -- Nothing of it is being summed now, and what is in the queue still belongs to no organization from then on.
    perform 1 from usage_rollup_state for update;
    delete from usage_by_service where org_id = p_org_id;
    delete from usage_by_user where org_id = p_org_id;
    delete from usage_of_user where org_id = p_org_id;
    delete from credit_usage_attribution where org_id = p_org_id;
    get diagnostics removed = row_count;
    delete from organizations where id = p_org_id;
    insert into purged_organizations (org_id, purged_by) values (p_org_id, p_actor);
    return removed;
end
$$;
