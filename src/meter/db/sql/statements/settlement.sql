-- What the worker sends, as meter_worker.

-- name: settle_usage_columns
-- $1 to $23: the fields of usage_columns as usage_columns_of_texts takes them; $24 the rating epoch; $25 whether none of
-- the events is expected to be known.
select settle_usage_columns(usage_columns_of_texts(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23
), $24, $25);

-- name: known_usage
-- $1 to $23: the same, not rated.
select known_usage(usage_columns_of_texts(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23
));

-- name: settle_usage_arrays
-- As settle_usage_columns, with arrays of text in place of texts that are taken apart, for a batch that holds such a
-- character itself.
select settle_usage_columns(row(
    $1::text[]::varchar[],
    $2::text::integer[],
    $3::text[]::varchar[],
    $4::text[]::varchar[],
    $5::text[]::varchar[],
    $6::text[]::varchar[],
    $7::text[]::numeric[],
    $8::text[]::provider_key_source[],
    $9::text[]::boolean[],
    $10::text[]::boolean[],
    $11::text[]::text[],
    $12::text::integer[],
    $13::text::integer[],
    $14::text::integer[],
    string_to_array($15::text, E'\x1f')::uuid[],
    $16::text[]::varchar[],
    $17::text::numeric[],
    $18::text::numeric[],
    $19::text::numeric[],
    $20::text[]::varchar[],
    $21::text[]::text[],
    $22::text[]::timestamptz[],
    $23::text[]::text[]
)::usage_columns, $24, $25);

-- name: settle_voids
-- $1 voids, as JSON.
select settle_voids($1);

-- name: rating_epoch
select epoch from rating_epoch;

-- name: service_prices
select service_type, service_name, unit, credits_per_unit from service_prices;

-- name: subscription_plans
select plan, cost_markup from subscription_plans;

-- name: plans_of_organizations
select org_id, valid_from, plan from organization_plan_history where org_id = any ($1) order by org_id, valid_from;
