-- What is asked and changed about subscriptions: the reads as meter_reader, the writes as meter_admin.

-- name: read_subscription
-- $1 subscription. Whom it is shown to is decided by the policies of the reader.
select id, org_id, plan, billing_cycle, monthly_price, status, trial_ends_at,
       current_period_start, current_period_end, cancel_at, canceled_at, version, created_at, updated_at
from organization_subscriptions
where id = $1;

-- name: read_subscriptions
-- $1 organization, $2 the subscription before the first wanted (null: the newest), $3 rows at most. Newest first.
select id, org_id, plan, billing_cycle, monthly_price, status, trial_ends_at,
       current_period_start, current_period_end, cancel_at, canceled_at, version, created_at, updated_at
from organization_subscriptions
where org_id = $1
  and ($2::uuid is null
       or (created_at, id) < (select created_at, id from organization_subscriptions where org_id = $1 and id = $2))
order by created_at desc, id desc
limit $3;

-- name: subscriber
-- Whose subscription $1 is.
select org_id from organization_subscriptions where id = $1;

-- name: start_subscription
-- $6 who does it, $7 request id, $8 the member whose right is used.
select id, org_id, plan, billing_cycle, monthly_price, status, trial_ends_at,
       current_period_start, current_period_end, cancel_at, canceled_at, version, created_at, updated_at
from start_subscription($1, $2, $3, $4, $5, $6, $7, $8);

-- name: change_subscription
-- $3 versions, $4 plan, $5 cycle, $6 price, $7 paused, $8 withdraw the cancellation, $9 to $11 as of start_subscription.
select (subscription).id, (subscription).org_id, (subscription).plan, (subscription).billing_cycle, (subscription).monthly_price,
       (subscription).status, (subscription).trial_ends_at, (subscription).current_period_start, (subscription).current_period_end,
       (subscription).cancel_at, (subscription).canceled_at, (subscription).version, (subscription).created_at, (subscription).updated_at,
       changed, credit, charge
from change_subscription($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- name: cancel_subscription
-- $3 versions, $4 immediately, $5 to $7 as of start_subscription.
select id, org_id, plan, billing_cycle, monthly_price, status, trial_ends_at,
       current_period_start, current_period_end, cancel_at, canceled_at, version, created_at, updated_at
from cancel_subscription($1, $2, $3, $4, $5, $6, $7);
