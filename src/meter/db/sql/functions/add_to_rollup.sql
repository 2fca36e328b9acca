-- Adds ledger rows to the sums of usage. A void's own entry is no usage, and no sum holds it.
--
-- notes: rows of the queue, which the caller removes; those of organizations whose sums are not complete are passed over.
-- incomplete: an organization of which everything is added but what is in the queue now; null: none.
-- Locks: rows of the sums; the caller holds the row of usage_rollup_state.
create or replace function add_to_rollup(notes tid[], incomplete varchar) returns void
language sql volatile
set search_path = public, pg_temp
as $$
    with base as materialized (
        select org_id, user_id, date_bin('1 hour', minute, '2000-01-03Z') as hour, service_type, service_name, outcome,
               sum(entries)::bigint as entries, sum(events)::bigint as events, sum(quantity) as quantity,
               sum(credits) as credits, sum(api_cost) as api_cost,
               bit_or(1::bigint << date_part('minute', minute at time zone 'UTC')::integer) as minutes
        from (
            select * from queued_sums(notes)
            union all
            select org_id, user_id, date_bin('1 minute', occurred_at, '2000-01-03Z'), service_type, service_name, outcome,
                   count(*), count(*) filter (where entry = 0), coalesce(sum(quantity) filter (where entry = 0), 0),
                   sum(credits_used), coalesce(sum(api_cost) filter (where entry = 0), 0)
            from credit_usage_attribution
            where org_id = incomplete and outcome <> 'void'
              and (event_key, entry) not in (select key, entry from queued_usage(incomplete))
            group by 1, 2, 3, 4, 5, 6
        ) as added (
            org_id, user_id, minute, service_type, service_name, outcome, entries, events, quantity, credits, api_cost
        )
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
    -- What the sums did not hold before: all of the queue. Seldom needed, and then for all days at once.
    unsummed as materialized (
        select organization.org_id, own.key, own.entry
        from (select distinct org_id from becoming_busy) as organization
        cross join lateral queued_usage(organization.org_id) as own
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
              and not (
                  entry.created_at in (select written_at from usage_rollup_queue)
                  and (entry.org_id, entry.event_key, entry.entry) in (select org_id, key, entry from unsummed)
              )
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
as 'select 100::bigint';
