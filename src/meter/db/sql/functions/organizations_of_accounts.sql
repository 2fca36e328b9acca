-- The organization of each account of a batch.
create or replace function organizations_of_accounts(usage usage_columns) returns varchar[]
language plpgsql immutable
set search_path = public, pg_temp
as $$
declare
    org_ids constant varchar[] := usage.org_ids;
begin
    return array(
        select org_ids[account.org] from unnest(usage.account_orgs) with ordinality as account (org, no) order by account.no
    );
end
$$;
