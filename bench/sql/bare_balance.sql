-- $1 organization. What a service would write first: one row by its key.
select total_credits, used_credits, available_credits from organization_credit_pools where org_id = $1
