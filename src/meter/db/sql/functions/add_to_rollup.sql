-- Adds ledger rows to the sums of usage. A void's own entry is no usage, and no sum holds it.
--
-- batches: rows taken off the queue; those of organizations whose sums are not complete are passed over.
-- incomplete: an organization of which everything is added but what is in the queue now; null: none.
-- Locks: rows of the sums; the caller holds the row of usage_rollup_state.
create or replace function add_to_rollup(batches usage_rollup_queue[], incomplete varchar) returns void
language sql volatile
set search_path = public, pg_temp
as $$
    with queued as (
        select org.id as org_id, batch.event_keys[coalesce(batch.ends[org.no - 1], 0) + 1 : batch.ends[org.no]] as keys,
               batch.entries[coalesce(batch.ends[org.no - 1], 0) + 1 : batch.ends[org.no]] as entries
        from unnest(batches) as batch
        cross join lateral unnest(batch.org_ids) with ordinality as org (id, no)
        where exists (select from rolled_up_organizations known where known.org_id = org.id and known.is_complete)
    ),
    row as (
        select usage.org_id, usage.user_id, usage.occurred_at, usage.service_type, usage.service_name, usage.outcome,
               usage.entry, usage.quantity, usage.credits_used, usage.api_cost
        from queued
        join credit_usage_attribution usage
          on usage.org_id = queued.org_id and usage.event_key = any (queued.keys) and usage.entry = 0
        where queued.entries is null
        union all
        select usage.org_id, usage.user_id, usage.occurred_at, usage.service_type, usage.service_name, usage.outcome,
               usage.entry, usage.quantity, usage.credits_used, usage.api_cost
        from queued
        cross join unnest(queued.keys, queued.entries) as moved (event_key, entry)
        join credit_usage_attribution usage
          on usage.org_id = queued.org_id and usage.event_key = moved.event_key and usage.entry = moved.entry
        where queued.entries is not null
        union all
        select usage.org_id, usage.user_id, usage.occurred_at, usage.service_type, usage.service_name, usage.outcome,
               usage.entry, usage.quantity, usage.credits_used, usage.api_cost
        from credit_usage_attribution usage
        where usage.org_id = incomplete and usage.outcome <> 'void'
          and (usage.event_key, usage.entry) not in (select key, entry from queued_usage(incomplete))
    ),
    base as materialized (
        select org_id, user_id, date_bin('1 hour', occurred_at, '2000-01-03Z') as hour, service_type, service_name,
               outcome, count(*) as entries, count(*) filter (where entry = 0) as events,
               coalesce(sum(quantity) filter (where entry = 0), 0) as quantity, sum(credits_used) as credits,
               coalesce(sum(api_cost) filter (where entry = 0), 0) as api_cost,
               bit_or(1::bigint << extract(minute from occurred_at at time zone 'UTC')::integer) as minutes
        from row
        group by 1, 2, 3, 4, 5, 6
    ),
    by_service as (
        insert into usage_by_service as sums (
            org_id, span, starts_at, service_type, service_name, outcome, parts, entries, events, quantity, credits, api_cost
        )
        select org_id, span, date_bin(length, hour, '2000-01-03Z') as starts_at, service_type, service_name, outcome,
               bit_or(case span when 'hour' then minutes
                                else 1::bigint << floor(
                                    extract(epoch from hour - date_bin(length, hour, '2000-01-03Z')) / part
                                )::integer end),
               sum(entries), sum(events), sum(quantity), sum(credits), sum(api_cost)
        from (
            select org_id, hour, service_type, service_name, outcome, bit_or(minutes) as minutes, sum(entries) as entries,
                   sum(events) as events, sum(quantity) as quantity, sum(credits) as credits, sum(api_cost) as api_cost
            from base
            group by org_id, hour, service_type, service_name, outcome
        ) as hourly
        cross join usage_spans()
        group by org_id, span, starts_at, service_type, service_name, outcome
        order by org_id, span, starts_at, service_type, service_name, outcome
        on conflict (org_id, span, starts_at, service_type, service_name, outcome) do update
        set parts = sums.parts | excluded.parts, entries = sums.entries + excluded.entries,
            events = sums.events + excluded.events, quantity = sums.quantity + excluded.quantity,
            credits = sums.credits + excluded.credits, api_cost = sums.api_cost + excluded.api_cost
    ),
    by_user as (
        insert into usage_by_user as sums (
            org_id, span, starts_at, user_id, entries, events, credits, unfunded_credits
        )
        select org_id, span, date_bin(length, hour, '2000-01-03Z') as starts_at, user_id, sum(entries), sum(events),
               sum(credits), sum(unfunded_credits)
        from (
            select org_id, hour, user_id, sum(entries) as entries, sum(events) as events,
                   coalesce(sum(credits) filter (where outcome in ('charged', 'overage')), 0) as credits,
                   coalesce(sum(credits) filter (where outcome = 'unfunded'), 0) as unfunded_credits
            from base
            group by org_id, hour, user_id
        ) as hourly
        cross join usage_spans()
        group by org_id, span, starts_at, user_id
        order by org_id, span, starts_at, user_id
        on conflict (org_id, span, starts_at, user_id) do update
        set entries = sums.entries + excluded.entries, events = sums.events + excluded.events,
            credits = sums.credits + excluded.credits,
            unfunded_credits = sums.unfunded_credits + excluded.unfunded_credits
        returning org_id, span, starts_at, user_id, entries
    ),
    -- Days of users that are busy now, with how many entries they had before.
    busy as materialized (
        select by_user.org_id, by_user.user_id, by_user.starts_at, by_user.entries - added.entries as before
        from by_user
        join (
            select org_id, user_id, date_bin('1 day', hour, '2000-01-03Z') as starts_at, sum(entries) as entries
            from base
            group by 1, 2, 3
        ) as added
          on added.org_id = by_user.org_id and added.user_id = by_user.user_id and added.starts_at = by_user.starts_at
        where by_user.span = 'day' and by_user.entries >= busy_day()
    ),
    of_hour as (
        select base.org_id, base.user_id, base.hour, base.service_type, base.service_name, base.outcome, base.entries,
               base.events, base.quantity, base.credits, base.api_cost
        from busy
        join base on base.org_id = busy.org_id and base.user_id = busy.user_id
                     and date_bin('1 day', base.hour, '2000-01-03Z') = busy.starts_at
        where busy.before = 0 or busy.before >= busy_day()
        union all
        -- Busy from now on: the day so far, this included.
        select usage.org_id, usage.user_id, date_bin('1 hour', usage.occurred_at, '2000-01-03Z'), usage.service_type,
               usage.service_name, usage.outcome, 1, (usage.entry = 0)::integer,
               case when usage.entry = 0 then usage.quantity else 0 end, usage.credits_used,
               case when usage.entry = 0 and usage.api_cost is not null then usage.api_cost else 0 end
        from busy
        join credit_usage_attribution usage
          on usage.org_id = busy.org_id and usage.user_id = busy.user_id and usage.occurred_at >= busy.starts_at
             and usage.occurred_at < busy.starts_at + interval '1 day'
        where busy.before > 0 and busy.before < busy_day()
          and not exists (
              select from queued_usage_of_all() as queued
              where queued.org_id = usage.org_id and queued.key = usage.event_key and queued.entry = usage.entry
          )
    )
    insert into usage_of_user as sums (
        org_id, user_id, span, starts_at, service_type, service_name, outcome, entries, events, quantity, credits, api_cost
    )
    select org_id, user_id, span, starts_at, service_type, service_name, outcome, sum(entries), sum(events), sum(quantity),
           sum(credits), sum(api_cost)
    from (
        select org_id, user_id, 'day'::usage_span as span, date_bin('1 day', hour, '2000-01-03Z') as starts_at, service_type,
               service_name, outcome, entries, events, quantity, credits, api_cost
        from base
        union all
        select org_id, user_id, 'hour', hour, service_type, service_name, outcome, entries, events, quantity, credits,
               api_cost
        from of_hour
    ) as spanned
    group by org_id, user_id, span, starts_at, service_type, service_name, outcome
    order by org_id, user_id, span, starts_at, service_type, service_name, outcome
    on conflict (org_id, user_id, span, starts_at, service_type, service_name, outcome) do update
    set entries = sums.entries + excluded.entries, events = sums.events + excluded.events,
        quantity = sums.quantity + excluded.quantity, credits = sums.credits + excluded.credits,
        api_cost = sums.api_cost + excluded.api_cost
$$;

-- The spans that usage is summed over, with their lengths, and the seconds of the parts a span is made of.
create or replace function usage_spans() returns table (span usage_span, length interval, part integer)
language sql immutable
as $$
    values ('hour'::usage_span, interval '1 hour', 60), ('day', interval '1 day', 3600), ('week', interval '7 days', 86400)
$$;

-- Entries from which on a user's day is summed by hours too: fewer are added up in a moment, and fall into hours of their
-- own.
create or replace function busy_day() returns bigint
language sql immutable security definer
set search_path = public, pg_temp
as 'select 500::bigint';
