-- Who may do what. Nothing is granted to everyone; no role that can log in may change the ledger.
-- Objects belong to meter_owner, which cannot log in; functions that write run with its rights.
revoke all on all tables in schema public from public, meter_worker, meter_reader, meter_admin;
revoke all on all functions in schema public from public, meter_worker, meter_reader, meter_admin;

grant usage on schema public to meter_worker, meter_reader, meter_admin;

-- The schema's version, asked by every process at start and by its readiness.
grant select on schema_migrations, schema_definitions to meter_worker, meter_reader, meter_admin;

-- The worker settles, goes on funding, and reads what it rates with.
grant execute on function settle_usage(json, bigint), settle_usage_columns(usage_columns, bigint, boolean),
    known_usage(usage_columns), usage_columns_of_texts, settle_voids(json), fund_waiting_organizations(integer)
    to meter_worker;
grant select on service_prices, subscription_plans, organization_plan_history, rating_epoch to meter_worker;
-- And begins the new periods of allocations.
grant execute on function reset_allocations(integer) to meter_worker;
-- And keeps the sums of usage.
grant execute on function roll_up_usage(interval, integer, bigint) to meter_worker;
-- And brings subscriptions to the present.
grant execute on function advance_subscriptions(integer) to meter_worker;
-- And notes which messages it handles with nothing beside them.
grant execute on function note_suspect(bytea, bigint), note_suspects(bytea[], bigint), clear_suspects(bytea[], bigint)
    to meter_worker;

-- The reader reads what the API shows.
grant select on organizations, organization_members, organization_subscriptions, organization_credit_pools,
    user_credit_allocations, credit_usage_attribution, org_billing_history, service_prices, subscription_plans,
    credit_usage_entries, org_billing_summary, user_multi_org_credits, top_credit_users_by_org, org_billing_metrics,
    credit_usage_by_service to meter_reader;
grant execute on function has_sufficient_credits(varchar, varchar, numeric) to meter_reader;
grant select on rolled_up_organizations, readable_usage_by_service, readable_usage_by_user, readable_usage_of_user
    to meter_reader;
grant execute on function queued_usage(varchar), busy_day(), latest_usage_like(varchar, varchar, usage_outcome, timestamptz)
    to meter_reader;
-- Each row only of whom it reads for.
grant execute on function reader_organization(), reader_sees_everyone(), reader_organizations(),
    read_credit_pool(varchar, varchar, text), read_role(varchar, varchar, text),
    read_usage_page(
        varchar, varchar, text, varchar, varchar, text, timestamptz, timestamptz, uuid, smallint, timestamptz, integer, integer
    )
    to meter_reader;

-- And asks who calls; that a key was used is the only thing it may note.
grant select on api_keys to meter_reader, meter_admin;
grant execute on function note_api_key_use(uuid) to meter_reader, meter_admin;
grant execute on function
    create_api_key(varchar, varchar, varchar, bytea, text[], timestamptz, integer, integer, varchar),
    revoke_api_key(varchar, varchar)
    to meter_admin;

-- The control plane makes the few writes that people make.
grant select on organizations, organization_members, organization_subscriptions, organization_credit_pools,
    user_credit_allocations, credit_usage_attribution, org_billing_history, service_prices, subscription_plans,
    credit_usage_entries, org_billing_summary, user_multi_org_credits, top_credit_users_by_org, org_billing_metrics,
    credit_usage_by_service to meter_admin;
grant execute on function
    has_sufficient_credits(varchar, varchar, numeric),
    add_credits_to_pool(varchar, numeric, numeric, char, text, varchar, varchar, jsonb, varchar),
    allocate_credits_to_user(varchar, varchar, numeric, varchar, text, boolean, text, varchar, varchar),
    deduct_credits(varchar, varchar, numeric, varchar, varchar, varchar, jsonb, varchar, varchar, timestamptz, text[]),
    create_organization(varchar, varchar, varchar, integer, varchar, varchar, varchar),
    add_organization_member(varchar, varchar, text, varchar, varchar, varchar, boolean),
    set_pool_terms(varchar, boolean, boolean, numeric, numeric, varchar),
    close_organization(varchar, varchar),
    start_subscription(varchar, text, text, numeric, integer, varchar, varchar, varchar),
    void_usage(varchar, varchar, varchar, varchar, varchar),
    repair_balances(varchar, varchar)
    to meter_admin;
-- And asks who is what where.
grant execute on function read_role(varchar, varchar, text) to meter_admin;
-- And changes subscriptions and members.
grant execute on function
    change_subscription(
        varchar, uuid, integer[], text, text, numeric, boolean, boolean, varchar, varchar, varchar
    ),
    cancel_subscription(varchar, uuid, integer[], boolean, varchar, varchar, varchar),
    change_member_role(varchar, varchar, text, varchar, varchar, varchar),
    remove_organization_member(varchar, varchar, varchar, varchar, varchar)
    to meter_admin;
-- And adds up what must be the same.
grant select on pending_voids to meter_admin;
-- And throws dead letters away, which stays written down.
grant execute on function
    record_dead_letter_discards(varchar, text, text[], varchar[], text[], timestamptz[], bytea[], integer[])
    to meter_admin;
grant select on dead_letter_discards to meter_admin;
-- And answers each keyed request over HTTP once.
grant execute on function
    begin_keyed_request(varchar, varchar, varchar, varchar, bytea),
    keep_answer(varchar, varchar, varchar, varchar, bytea, smallint, bytea),
    require_member(varchar, varchar),
    claim_payment_reference(varchar, varchar),
    reverse_credits(varchar, numeric, numeric, char, text, varchar, varchar, jsonb),
    charge_once(
        varchar, varchar, numeric, varchar, varchar, varchar, jsonb, varchar, varchar, timestamptz, varchar
    )
    to meter_admin;
