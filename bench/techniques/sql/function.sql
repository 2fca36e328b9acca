-- Rows and balances in a function of several statements.
create or replace function bench_settle(
    keys uuid[], times timestamptz[], org_ids varchar[], sources varchar[], user_ids varchar[], amounts numeric[],
    types varchar[], quantities numeric[], request_ids varchar[], metadatas text[]
) returns void
language plpgsql
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    accounts varchar[];
    users varchar[];
    totals numeric[];
begin
    with written as (
        insert into credit_usage_attribution (
            event_key, occurred_at, outcome, key_source, entry, credits_given, key_source_given, org_id, source, user_id,
            credits_used, service_type, quantity, request_id, request_metadata
        )
        select event_key, occurred_at, 'charged', 'platform', 0, false, false, org_id, source, user_id, credits, service_type,
               quantity, request_id, metadata::jsonb
        from unnest(keys, times, org_ids, sources, user_ids, amounts, types, quantities, request_ids, metadatas)
             as event (event_key, occurred_at, org_id, source, user_id, credits, service_type, quantity, request_id, metadata)
        order by org_id collate "C", event_key
        on conflict (org_id, event_key, entry) do nothing
        returning org_id, user_id, credits_used
    ),
    account as (
        select org_id, user_id, sum(credits_used) as total from written group by org_id, user_id
    )
    select array_agg(org_id), array_agg(user_id), array_agg(total) into accounts, users, totals from account;

    update organization_credit_pools set used_credits = used_credits + total
    from (
        select id, sum(amount) as total from unnest(accounts, totals) as account (id, amount) group by id
    ) as sums
    where org_id = id;

    update user_credit_allocations as allocation set used_credits = used_credits + total
    from unnest(accounts, users, totals) as account (of_org, of_user, total)
    where allocation.org_id = of_org and allocation.user_id = of_user;
end
$$
