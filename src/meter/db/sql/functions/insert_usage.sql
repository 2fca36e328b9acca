-- First step of settle_usage: writes entry 0 of every event that is new, with a predicted outcome.
--
-- p_events: as settle_usage takes it.
-- latest: an event that occurred after this is refused.
-- Returns: every event of the batch in its order; `fresh` where this call wrote its row.
-- Locks: ledger rows, inserted in the order of (org_id, event_key), so that two batches with the same keys wait for
--     each other and never in a circle.
create or replace function insert_usage(p_events json, latest timestamptz) returns settling_event[]
language sql volatile
set search_path = public, pg_temp
as $$
    with judged as (
        select event.*, event.org_id collate "C" as sorted_org_id,
               organization.status, pool.allocation_required, pool.available_credits,
               case when pool.allow_overage
                    then pool.overage_limit - (pool.overage_credits - pool.overage_billed_credits) end as overage_room,
               allocation.id as allocation_id, allocation.period_no, allocation.remaining_credits,
               case when pool.org_id is null then 'unknown_organization'
                    when event.occurred_at > latest then 'future_time'
                    else event.refusal end as verdict
        from read_usage(p_events) as event
        left join organizations organization on organization.id = event.org_id
        left join organization_credit_pools pool on pool.org_id = event.org_id
        left join user_credit_allocations allocation
               on allocation.org_id = event.org_id and allocation.user_id = event.user_id and allocation.is_active
    ),
    ranked as (
        -- Of a key that stands in the batch several times only the first is written.
        select judged.*,
               verdict is null and 1 = row_number() over (
                   partition by sorted_org_id, event_key, verdict is null order by pos
               ) as first
        from judged
    ),
    predicted as (
        select ranked.*,
               case when credits is null then 'unpriced'
                    when credits = 0 then 'charged'
                    when status <> 'active' or (allocation_id is null and allocation_required)
                         or remaining_credits < credits then 'unfunded'
                    when available_credits >= credits then 'charged'
                    when overage_room >= credits then 'overage'
                    else 'unfunded' end::usage_outcome as outcome,
               case when credits is null or credits = 0 then null
                    when status <> 'active' then 'organization_closed'
                    when allocation_id is null and allocation_required then 'no_allocation'
                    when remaining_credits < credits then 'allocation_exhausted'
                    when available_credits >= credits or overage_room >= credits then null
                    else 'pool_exhausted' end::unfunded_reason as reason
        from ranked
    ),
    inserted as (
        insert into credit_usage_attribution (
            event_key, occurred_at, allocation_id, period_no, outcome, reason, key_source, entry, credits_given,
            key_source_given, org_id, event_id, source, user_id, credits_used, service_type, service_name, quantity,
            api_cost, markup_applied, request_id, request_metadata, folded_fields
        )
        select event_key, coalesce(occurred_at, now()), allocation_id, period_no, outcome, reason, key_source, 0,
               credits_given, key_source_given, org_id, event_id, source, user_id, coalesce(credits, 0), service_type,
               service_name, quantity, api_cost, markup, request_id, metadata, folded
        from predicted
        where first
        order by sorted_org_id, event_key
        on conflict (org_id, event_key, entry) do nothing
        returning org_id, event_key
    )
    select coalesce(array_agg(row(
               predicted.pos, predicted.org_id, predicted.event_key, predicted.user_id, coalesce(predicted.credits, 0),
               predicted.credits is not null, inserted.event_key is not null, predicted.verdict,
               predicted.outcome, predicted.reason, predicted.allocation_id, predicted.period_no
           )::settling_event order by predicted.pos), '{}')
    from predicted
    left join inserted
           on predicted.first and inserted.org_id = predicted.org_id and inserted.event_key = predicted.event_key
$$;
