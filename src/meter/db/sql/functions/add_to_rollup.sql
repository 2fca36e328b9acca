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
    -- One search of the ledger an organization, since its keys lie together.
    plain as materialized (
        select org_id, array_agg(key) as keys
        from queued
        cross join unnest(keys) as key
        where entries is null
        group by org_id
    ),
    moved as materialized (
        select queued.org_id, listed.key, listed.entry
        from queued
        cross join unnest(queued.keys, queued.entries) as listed (key, entry)
        where queued.entries is not null
    ),
    -- quantity and api_cost of events only, as they are summed.
    row as (
        select usage.org_id, usage.user_id, usage.occurred_at, usage.service_type, usage.service_name, usage.outcome,
               1 as event, usage.quantity, usage.credits_used, usage.api_cost
        from plain
        join credit_usage_attribution usage
          on usage.org_id = plain.org_id and usage.event_key = any (plain.keys) and usage.entry = 0
        union all
        select usage.org_id, usage.user_id, usage.occurred_at, usage.service_type, usage.service_name, usage.outcome,
               case usage.entry when 0 then 1 end, case usage.entry when 0 then usage.quantity end, usage.credits_used,
               case usage.entry when 0 then usage.api_cost end
        from moved
        join credit_usage_attribution usage
          on usage.org_id = moved.org_id and usage.event_key = moved.key and usage.entry = moved.entry
        union all
        select usage.org_id, usage.user_id, usage.occurred_at, usage.service_type, usage.service_name, usage.outcome,
               case usage.entry when 0 then 1 end, case usage.entry when 0 then usage.quantity end, usage.credits_used,
               case usage.entry when 0 then usage.api_cost end
        from credit_usage_attribution usage
        where usage.org_id = incomplete and usage.outcome <> 'void'
          and (usage.event_key, usage.entry) not in (select key, entry from queued_usage(incomplete))
    ),
    base as materialized (
        select org_id, user_id, date_bin('1 hour', occurred_at, '2000-01-03Z') as hour, service_type, service_name,
               outcome, count(*) as entries, count(event) as events, coalesce(sum(quantity), 0) as quantity,
               sum(credits_used) as credits, coalesce(sum(api_cost), 0) as api_cost,
               bit_or(1::bigint << date_part('minute', occurred_at at time zone 'UTC')::integer) as minutes
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
        select by_user.org_id, by_user.user_id, by_user.starts_at, (by_user.entries - added.entries)::bigint as before
        from by_user
        join (
            select org_id, user_id, date_bin('1 day', hour, '2000-01-03Z') as starts_at, sum(entries) as entries
            from base
            group by 1, 2, 3
        ) as added
          on added.org_id = by_user.org_id and added.user_id = by_user.user_id and added.starts_at = by_user.starts_at
        where by_user.span = 'day' and by_user.entries >= busy_day()
    ),
    becoming_busy as materialized (
        select org_id, user_id, starts_at, before from busy where before > 0 and before < busy_day()
    ),
    -- What the sums did not hold before; the queue as an array, so that its keys are fetched once and not for each organization.
    unsummed as materialized (
        select org_id, key, 0::smallint as entry
        from plain cross join unnest(keys) as key
        where org_id in (select org_id from becoming_busy)
        union all
        select org_id, key, entry from moved
        union all
        select org.id, listed.key, coalesce(listed.entry, 0::smallint)
        from unnest((
            select array_agg(usage_rollup_queue) from usage_rollup_queue where exists (select from becoming_busy)
        )) as batch
        cross join lateral unnest(batch.org_ids) with ordinality as org (id, no)
        cross join lateral (select coalesce(batch.ends[org.no - 1], 0) + 1 as first, batch.ends[org.no] as last) as own
        cross join unnest(batch.event_keys[own.first : own.last], batch.entries[own.first : own.last]) as listed (key, entry)
        where org.id in (select org_id from becoming_busy)
    ),
    of_hour as (
        select base.org_id, base.user_id, base.hour, base.service_type, base.service_name, base.outcome, base.entries,
               base.events, base.quantity, base.credits, base.api_cost
        from busy
        join base on base.org_id = busy.org_id and base.user_id = busy.user_id
                     and date_bin('1 day', base.hour, '2000-01-03Z') = busy.starts_at
        union all
        -- Busy from now on: the day so far. It is known how many entries that are, most of them the first of the day.
        select day.org_id, day.user_id, date_bin('1 hour', usage.occurred_at, '2000-01-03Z'), usage.service_type,
               usage.service_name, usage.outcome, 1, (usage.entry = 0)::integer,
               case when usage.entry = 0 then usage.quantity else 0 end, usage.credits_used,
               case when usage.entry = 0 and usage.api_cost is not null then usage.api_cost else 0 end
        from becoming_busy day
        cross join lateral (
            select *
            from credit_usage_attribution entry
            where entry.org_id = day.org_id and entry.user_id = day.user_id and entry.occurred_at >= day.starts_at
              and entry.occurred_at < day.starts_at + interval '1 day' and entry.outcome <> 'void'
              and (entry.org_id, entry.event_key, entry.entry) not in (select org_id, key, entry from unsummed)
            limit day.before
        ) as usage
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
