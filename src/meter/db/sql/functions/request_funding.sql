-- Marks an organization whose unfunded events may fit now, and settles the first of them.
--
-- p_org_id: the organization; the caller holds its pool. Returns: how many events were funded; workers go on with the rest.
create or replace function request_funding(p_org_id varchar) returns integer
language sql volatile
set search_path = public, pg_temp
as $$
    update organization_credit_pools set funding_cursor = 0 where org_id = p_org_id and unfunded_credits > 0;
    select fund_open_usage(p_org_id)
$$;
