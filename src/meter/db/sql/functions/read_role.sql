-- What a reader is in an organization, in one round trip: asked before everything that is read of one. Sets whom the
-- transaction reads for, then reads, with the caller's own rights.
--
-- p_user_id, p_org_id, p_sees_everything: the settings meter.user_id, meter.org_id and meter.sees_everything.
-- Returns: no row where there is no such organization, or none that the reader sees; a null role where the reader sees it
--     without being a member. Locks: nothing.
create or replace function read_role(p_user_id varchar, p_org_id varchar, p_sees_everything text)
returns table (role text)
language plpgsql volatile security invoker
set search_path = public, pg_temp
as $$
#variable_conflict use_column
begin
    perform set_config('meter.user_id', p_user_id, true), set_config('meter.org_id', p_org_id, true),
            set_config('meter.sees_everything', p_sees_everything, true);
    return query
    select member.role
    from organizations organization
    left join organization_members member on member.org_id = organization.id and member.user_id = p_user_id
    where organization.id = p_org_id;
end
$$;
