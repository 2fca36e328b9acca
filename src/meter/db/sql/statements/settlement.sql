-- What the worker sends, as meter_worker.

-- name: settle_usage
select outcome, reason, credits from settle_usage($1::json, $2);

-- name: fund_waiting_organizations
select org_id, funded from fund_waiting_organizations();

-- name: rating_epoch
select epoch from rating_epoch;

-- name: service_prices
select service_type, service_name, unit, credits_per_unit from service_prices;

-- name: subscription_plans
select plan, cost_markup from subscription_plans;

-- name: plans_of_organizations
select org_id, valid_from, plan from organization_plan_history where org_id = any ($1) order by org_id, valid_from;
