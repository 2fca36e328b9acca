-- Whose provider key usage counts as when the event does not say: the customer's on plan byok, else the platform's.
--
-- p_org_id: the organization. p_at: when the usage happened; the plan in force then decides.
create or replace function plan_key_source(p_org_id varchar, p_at timestamptz) returns provider_key_source
language sql stable
set search_path = public, pg_temp
as $$
    select case when (
        select plan from organization_plan_history
        where org_id = p_org_id and valid_from <= p_at
        order by valid_from desc
        limit 1
    ) = 'byok' then 'byok' else 'platform' end::provider_key_source
$$;
