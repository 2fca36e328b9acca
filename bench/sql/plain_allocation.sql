-- $1 organization, $2 user, $3 credits.
update user_credit_allocations set used_credits = used_credits + $3 where org_id = $1 and user_id = $2
