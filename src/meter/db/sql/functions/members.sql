-- Makes a user a member, or gives a member another role.
--
-- p_role: member, admin or owner. p_actor, p_request_id: kept in the history. p_acting_user: the member whose right is used;
-- nobody's where null. p_only_new: a member who has another role keeps it, and that is refused.
-- Returns: whether anything changed. Locks: the pool.
-- Raises: MT003, MT005, MT006; MT030 the acting user may not do it; MT035 the last owner would be gone; MT036 all seats are
--     taken; MT037 is a member with another role.
create or replace function add_organization_member(
    p_org_id varchar, p_user_id varchar, p_role text default 'member', p_actor varchar default session_user,
    p_request_id varchar default null, p_acting_user varchar default null, p_only_new boolean default false
)
returns boolean
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
    role_before text;
    seats integer;
begin
    if coalesce(length(p_user_id), 0) not between 1 and 255 then
        raise exception 'user_id must have 1 to 255 characters' using errcode = 'MT006';
    end if;
    perform check_role(p_role);
    perform lock_open_organization(p_org_id);
    select role into role_before from organization_members where org_id = p_org_id and user_id = p_user_id;
    perform check_member_change(p_org_id, p_acting_user, p_user_id, role_before, p_role);
    if role_before = p_role then
        return false;
    elsif role_before is not null and p_only_new then
        raise exception 'user "%" is a member already, as %', p_user_id, role_before
            using errcode = 'MT037', hint = 'Change the role instead.';
    end if;
    if role_before is null then
        select max_seats into seats from organizations where id = p_org_id;
        if seats <= (select count(*) from organization_members where org_id = p_org_id) then
            raise exception 'all % seats of organization "%" are taken', seats, p_org_id using errcode = 'MT036',
                hint = 'Remove a member first.';
        end if;
    end if;
    insert into organization_members (org_id, user_id, role) values (p_org_id, p_user_id, p_role)
    on conflict (org_id, user_id) do update set role = excluded.role;
    insert into org_billing_history (org_id, event_type, user_id, actor, request_id, metadata)
    values (p_org_id, case when role_before is null then 'member_added' else 'member_role_changed' end, p_user_id, p_actor,
            p_request_id, jsonb_strip_nulls(jsonb_build_object('role', p_role, 'role_before', role_before)));
    return true;
end
$$;

-- Gives a member another role. Returns: whether anything changed. Arguments, locks and errors as of
-- add_organization_member, and MT034: the user is no member.
create or replace function change_member_role(
    p_org_id varchar, p_user_id varchar, p_role text, p_actor varchar default session_user,
    p_request_id varchar default null, p_acting_user varchar default null
)
returns boolean
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
begin
    perform lock_organization(p_org_id);
    perform require_administrator(p_org_id, p_acting_user);
    perform role_of_member(p_org_id, p_user_id);
    return add_organization_member(p_org_id, p_user_id, p_role, p_actor, p_request_id, p_acting_user);
end
$$;

-- Takes a user out of an organization, closed ones too, and ends what the user may spend of its pool.
--
-- Arguments as of add_organization_member. Locks: the pool, then the allocation.
-- Raises: MT003; MT030 the acting user may not do it; MT034 the user is no member; MT035 the last owner would be gone.
create or replace function remove_organization_member(
    p_org_id varchar, p_user_id varchar, p_actor varchar default session_user, p_request_id varchar default null,
    p_acting_user varchar default null
)
returns void
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
    role_before text;
    released numeric;
begin
    perform lock_organization(p_org_id);
    perform require_administrator(p_org_id, p_acting_user);
    role_before := role_of_member(p_org_id, p_user_id);
    perform check_member_change(p_org_id, p_acting_user, p_user_id, role_before, null);
    delete from organization_members where org_id = p_org_id and user_id = p_user_id;
    insert into org_billing_history (org_id, event_type, user_id, actor, request_id, metadata)
    values (p_org_id, 'member_removed', p_user_id, p_actor, p_request_id, jsonb_build_object('role_before', role_before));

    update user_credit_allocations set is_active = false, updated_at = now()
    where org_id = p_org_id and user_id = p_user_id and is_active
    returning allocated_credits into released;
    if released is not null then
        update organization_credit_pools set allocated_credits = allocated_credits - released, updated_at = now()
        where org_id = p_org_id;
        insert into org_billing_history (org_id, event_type, balance, credits, user_id, actor, request_id)
        values (p_org_id, 'allocation_deactivated', 'allocated', -released, p_user_id, p_actor, p_request_id);
        -- Where the pool requires no allocation, the user is held to none any more.
        perform request_funding(p_org_id);
    end if;
end
$$;

-- The role of a member. Raises: MT034 the user is none.
create or replace function role_of_member(p_org_id varchar, p_user_id varchar) returns text
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    found_role text;
begin
    select role into found_role from organization_members where org_id = p_org_id and user_id = p_user_id;
    if found_role is null then
        raise exception 'user "%" is no member of organization "%"', p_user_id, p_org_id using errcode = 'MT034';
    end if;
    return found_role;
end
$$;

-- Refuses what is no role. Raises: MT006.
create or replace function check_role(p_role text) returns void
language plpgsql immutable
set search_path = public, pg_temp
as $$
begin
    if p_role is null or p_role not in ('member', 'admin', 'owner') then
        raise exception 'the role must be member, admin or owner' using errcode = 'MT006';
    end if;
end
$$;

-- Refuses a change of a member that the acting user may not make, or that leaves an organization without its owner.
-- The caller holds the pool.
--
-- p_acting_user: null: nobody's right is needed. p_role_before, p_role: null: no member.
-- Raises: MT030 only admins and owners, and of owners only owners; MT035 the last owner would be gone.
create or replace function check_member_change(
    p_org_id varchar, p_acting_user varchar, p_user_id varchar, p_role_before text, p_role text
)
returns void
language plpgsql stable
set search_path = public, pg_temp
as $$
begin
    perform require_administrator(p_org_id, p_acting_user);
    if p_role_before is not distinct from p_role then
        return;
    end if;
    if p_acting_user is not null and 'owner' in (p_role_before, p_role) and not exists (
        select from organization_members where org_id = p_org_id and user_id = p_acting_user and role = 'owner'
    ) then
        raise exception 'only an owner appoints or removes owners' using errcode = 'MT030';
    end if;
    if p_role_before = 'owner' and not exists (
        select from organization_members where org_id = p_org_id and role = 'owner' and user_id <> p_user_id
    ) then
        raise exception 'user "%" is the last owner of organization "%"', p_user_id, p_org_id
            using errcode = 'MT035', hint = 'Appoint another owner first.';
    end if;
end
$$;

-- Refuses a change by who is no admin or owner of the organization (any more). The caller holds the pool, since an
-- earlier statement: this one sees what was committed before it began.
--
-- p_acting_user: null: nobody's right is needed. Raises: MT030.
create or replace function require_administrator(p_org_id varchar, p_acting_user varchar) returns void
language plpgsql stable
set search_path = public, pg_temp
as $$
begin
    if p_acting_user is not null and not exists (
        select from organization_members
        where org_id = p_org_id and user_id = p_acting_user and role in ('admin', 'owner')
    ) then
        raise exception 'only admins and owners of the organization may do this' using errcode = 'MT030';
    end if;
end
$$;

-- Locks the pool of an organization, open or closed. Raises: MT003.
create or replace function lock_organization(p_org_id varchar) returns void
language plpgsql volatile
set search_path = public, pg_temp
as $$
begin
    perform from organization_credit_pools where org_id = p_org_id for no key update;
    if not found then
        raise exception 'organization "%" is not known', p_org_id using errcode = 'MT003';
    end if;
end
$$;
