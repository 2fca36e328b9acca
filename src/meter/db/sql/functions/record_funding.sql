-- Writes two ledger entries for each funded event (what was unfunded goes, what is charged or overage comes), moves the
-- balances, takes the events off the work table, and queues the entries for the sums of usage.
--
-- funded: unfunded events with the outcome that they have now.
-- Locks: ledger rows and allocations; the caller holds the pools.
create or replace function record_funding(funded settled_event[]) returns void
language sql volatile
set search_path = public, pg_temp
as $$
    with event as materialized (
        select * from unnest(funded)
    ),
    latest as (
        select distinct on (usage.org_id, usage.event_key) usage.*
        from event
        join credit_usage_attribution usage on usage.org_id = event.org_id and usage.event_key = event.event_key
        order by usage.org_id, usage.event_key, usage.entry desc
    ),
    entries as (
        insert into credit_usage_attribution (
            event_key, occurred_at, allocation_id, period_no, outcome, reason, key_source, entry, credits_given,
            key_source_given, org_id, event_id, source, user_id, credits_used, service_type, service_name, quantity,
            api_cost, markup_applied, request_id, request_metadata, folded_fields
        )
        select latest.event_key, latest.occurred_at,
               case when step.reverses then latest.allocation_id else event.allocation_id end,
               case when step.reverses then latest.period_no else event.period_no end,
               case when step.reverses then 'unfunded' else event.outcome end,
               case when step.reverses then latest.reason end,
               latest.key_source, latest.entry + step.offset_no, latest.credits_given, latest.key_source_given,
               latest.org_id, latest.event_id, latest.source, latest.user_id,
               case when step.reverses then -event.credits else event.credits end,
               latest.service_type, latest.service_name, latest.quantity, latest.api_cost, latest.markup_applied,
               latest.request_id, latest.request_metadata, latest.folded_fields
        from latest
        join event on event.org_id = latest.org_id and event.event_key = latest.event_key
        cross join (values (1, true), (2, false)) as step (offset_no, reverses)
        returning org_id, event_key, entry
    ),
    queued as (
        insert into usage_rollup_queue (org_ids, ends, event_keys, entries)
        select array_agg(org_id order by org_id), array_agg(last order by org_id),
               (select array_agg(event_key order by org_id, event_key, entry) from entries),
               (select array_agg(entry order by org_id, event_key, entry) from entries)
        from (
            select org_id, sum(count(*)) over (order by org_id)::integer as last from entries group by org_id
        ) as organization
    ),
    closed as (
        delete from open_usage_events open
        using event
        where open.org_id = event.org_id and open.event_key = event.event_key
    ),
    allocations as (
        update user_credit_allocations allocation
        set used_credits = allocation.used_credits + taken.credits, updated_at = now()
        from (
            select org_id, user_id, sum(credits) as credits
            from event
            where allocation_id is not null
            group by org_id, user_id
        ) as taken
        where allocation.org_id = taken.org_id and allocation.user_id = taken.user_id
    )
    update organization_credit_pools pool
    set used_credits = pool.used_credits + moved.charged,
        overage_credits = pool.overage_credits + moved.overage,
        unfunded_credits = pool.unfunded_credits - moved.charged - moved.overage,
        updated_at = now()
    from (
        select org_id,
               coalesce(sum(credits) filter (where outcome = 'charged'), 0) as charged,
               coalesce(sum(credits) filter (where outcome = 'overage'), 0) as overage
        from event
        group by org_id
    ) as moved
    where pool.org_id = moved.org_id
$$;
