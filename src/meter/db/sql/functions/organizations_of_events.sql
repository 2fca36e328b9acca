-- The organization of each event of a batch.
--
-- accounts: of each event. account_org_ids: the organization of each account.
create or replace function organizations_of_events(accounts integer[], account_org_ids varchar[]) returns varchar[]
language plpgsql immutable
set search_path = public, pg_temp
as $$
begin
    return array(
        select account_org_ids[event.account] from unnest(accounts) with ordinality as event (account, no) order by event.no
    );
end
$$;
