-- $1 organization, $2 credits.
update organization_credit_pools set used_credits = used_credits + $2 where org_id = $1
