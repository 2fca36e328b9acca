-- An empty ledger and full balances, so that every way begins alike.
truncate credit_usage_attribution;
update organization_credit_pools set used_credits = 0;
update user_credit_allocations set used_credits = 0
