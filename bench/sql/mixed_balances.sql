-- Every tenth organization by rank is out of credits, every tenth plus five in overage. Their users' allocations stay as
-- they are, so that only the pool is short.
update organization_credit_pools
set total_credits = 0,
    allow_overage = rank % 10 = 5,
    overage_limit = case when rank % 10 = 5 then 1e12 else 0 end
from (select id, substr(id, 5)::integer as rank from organizations) as organization
where org_id = id and rank % 10 in (0, 5)
