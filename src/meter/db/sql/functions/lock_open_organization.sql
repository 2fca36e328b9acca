-- Locks the pool of an organization for a change that people make, and returns it.
-- Raises: MT003 unknown organization; MT005 closed.
create or replace function lock_open_organization(p_org_id varchar) returns organization_credit_pools
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
    pool organization_credit_pools;
begin
    select * into pool from organization_credit_pools where org_id = p_org_id for no key update;
    if not found then
        raise exception 'organization "%" is not known', p_org_id
            using errcode = 'MT003', hint = format('Create it with: meter organizations add %s', p_org_id);
    end if;
    if exists (select 1 from organizations where id = p_org_id and status = 'closed') then
        raise exception 'organization "%" is closed', p_org_id using errcode = 'MT005';
    end if;
    return pool;
end
$$;
