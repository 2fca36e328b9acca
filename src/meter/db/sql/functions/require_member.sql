-- Locks the pool of an organization and makes sure that a user is a member, until the transaction ends.
--
-- p_org_id, p_user_id: who must belong to what.
-- Locks: the pool; whoever changes members holds it too.
-- Raises: MT003 unknown organization; MT005 closed; MT022 not a member.
create or replace function require_member(p_org_id varchar, p_user_id varchar) returns void
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
begin
    perform lock_open_organization(p_org_id);
    if not exists (select from organization_members where org_id = p_org_id and user_id = p_user_id) then
        raise exception 'user "%" is no member of organization "%"', p_user_id, p_org_id using errcode = 'MT022';
    end if;
end
$$;
