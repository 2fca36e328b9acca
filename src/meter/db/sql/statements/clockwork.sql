-- What workers do again and again, as meter_worker.

-- name: fund_waiting_organizations
select funded from fund_waiting_organizations();

-- name: reset_allocations
select reset_allocations();

-- name: roll_up_usage
select roll_up_usage();

-- name: advance_subscriptions
select advance_subscriptions();
