-- Begins the sums of usage anew, as the migration does that finds a ledger without them.
truncate usage_rollup_queue, rolled_up_organizations, usage_by_service, usage_by_user, usage_of_user;
update usage_rollup_state set waits_for = null
