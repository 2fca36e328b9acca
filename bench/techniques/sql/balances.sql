-- The balances. $1 organizations, $2 users and $3 credits of each account.
with sums as materialized (
    select * from unnest($1::varchar[], $2::varchar[], $3::numeric[]) as account (org_id, user_id, total)
),
pool as (
    update organization_credit_pools set used_credits = used_credits + total
    from (select org_id as id, sum(total) as total from sums group by org_id) as organization
    where org_id = id
)
update user_credit_allocations as allocation set used_credits = used_credits + total
from sums
where allocation.org_id = sums.org_id and allocation.user_id = sums.user_id
