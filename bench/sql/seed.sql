-- Organizations org-000001 … with users user-01 …, credits and allocations that no run can use up.
-- Named as in bench/workload.py. $1: organizations. $2: users of each.
with organization as (
    insert into organizations (id, name, display_name)
    select id, id, id from (select 'org-' || lpad(rank::text, 6, '0') as id from generate_series(1, $1::integer) as rank)
    returning id
),
pool as (
    insert into organization_credit_pools (org_id, total_credits, allocated_credits)
    select id, 1e12, $2::integer * 1e11 from organization
),
member as (
    insert into organization_members (org_id, user_id)
    select id, 'user-' || lpad(number::text, 2, '0') from organization, generate_series(1, $2::integer) as number
),
allocation as (
    insert into user_credit_allocations (org_id, user_id, allocated_credits, allocated_by)
    select id, 'user-' || lpad(number::text, 2, '0'), 1e11, 'bench'
    from organization, generate_series(1, $2::integer) as number
)
insert into org_billing_history (org_id, event_type, balance, credits, actor)
select id, 'bench_seed', balance, credits, 'bench'
from organization, (values ('total', 1e12), ('allocated', $2::integer * 1e11)) as seeded (balance, credits)
