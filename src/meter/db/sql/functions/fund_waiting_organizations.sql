-- Goes on funding the organizations whose credits came in. Called by workers again and again; several may at once.
--
-- p_limit: how many events to examine at most, of one organization.
-- Returns: the organization examined (null: none waits) and how many of its events were funded.
-- Locks: the pool of one organization, passing over those that another worker holds.
create or replace function fund_waiting_organizations(p_limit integer default 1000)
returns table (org_id varchar, funded integer)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
    waiting varchar;
begin
    select pool.org_id into waiting
    from organization_credit_pools pool
    where pool.funding_cursor is not null
    limit 1
    for no key update skip locked;
    if waiting is not null then
        return query select waiting, fund_open_usage(waiting, p_limit);
    end if;
end
$$;
