-- A page of an organization's ledger, newest first, as its reader sees it, in one round trip. Sets whom the transaction reads
-- for, then reads, with the caller's own rights.
--
-- p_reader_id, p_org_id, p_sees_everything: the settings meter.user_id, meter.org_id and meter.sees_everything.
-- p_user_id, p_service_type, p_outcome: what the entries are like; null: anything.
-- p_start: the earliest occurred_at. p_time, p_key, p_entry: occurred_at, event_key and entry before the page.
-- p_recorded_by: recorded at this moment or before. p_rows: rows at most. p_look_at: entries to look at, at most.
-- Returns: entries, their amounts as text without zeros at the end. Where there are fewer than p_rows and more to look at, a
--     last row of nothing but the place up to which was looked. Locks: nothing.
create or replace function read_usage_page(
    p_reader_id varchar, p_org_id varchar, p_sees_everything text, p_user_id varchar, p_service_type varchar, p_outcome text,
    p_start timestamptz, p_time timestamptz, p_key uuid, p_entry smallint, p_recorded_by timestamptz, p_rows integer,
    p_look_at integer
) returns table (
    event_key uuid, entry smallint, event_id varchar, source varchar, user_id varchar, service_type varchar, service_name varchar,
    quantity text, credits_used text, outcome text, reason text, key_source text, api_cost text, markup_applied text,
    total_cost text, allocation_id bigint, period_no integer, request_id varchar, request_metadata jsonb,
    occurred_at timestamptz, created_at timestamptz
)
language plpgsql volatile security invoker
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
    latest timestamptz;
    found_rows bigint;
begin
    perform set_config('meter.user_id', p_reader_id, true), set_config('meter.org_id', p_org_id, true),
            set_config('meter.sees_everything', p_sees_everything, true);

    -- What the sums of usage know to hold nothing like this is skipped.
    if p_user_id is null and (p_service_type is not null or p_outcome is not null) then
        latest := latest_usage_like(p_org_id, p_service_type, p_outcome::usage_outcome, p_time);
        if latest = '-infinity' then
            return;
        elsif latest < p_time then
            p_time := latest;
            p_key := '00000000-0000-0000-0000-000000000000';
            p_entry := -1;
        end if;
    end if;

    -- Two statements and not one with an optional user, so that each walks its own index in order.
    if p_user_id is null then
        return query
        select event_key, entry, coalesce(event_id, event_key::text), source, user_id, service_type, service_name,
               trim_scale(quantity)::text, trim_scale(credits_used)::text, outcome::text, reason::text, key_source::text,
               trim_scale(api_cost)::text, trim_scale(markup_applied)::text, trim_scale(credits_used * 0.001)::text,
               allocation_id, period_no, request_id, request_metadata, occurred_at, created_at
        from (
            select * from credit_usage_attribution
            where org_id = p_org_id and (occurred_at, event_key, entry) < (p_time, p_key, p_entry) and occurred_at >= p_start
            order by occurred_at desc, event_key desc, entry desc
            limit p_look_at
        ) as looked_at
        where created_at <= p_recorded_by
          and (p_service_type is null or service_type = p_service_type) and (p_outcome is null or outcome::text = p_outcome)
        order by looked_at.occurred_at desc, looked_at.event_key desc, looked_at.entry desc
        limit p_rows;
    else
        return query
        select event_key, entry, coalesce(event_id, event_key::text), source, user_id, service_type, service_name,
               trim_scale(quantity)::text, trim_scale(credits_used)::text, outcome::text, reason::text, key_source::text,
               trim_scale(api_cost)::text, trim_scale(markup_applied)::text, trim_scale(credits_used * 0.001)::text,
               allocation_id, period_no, request_id, request_metadata, occurred_at, created_at
        from (
            select * from credit_usage_attribution
            where org_id = p_org_id and user_id = p_user_id
              and (occurred_at, event_key, entry) < (p_time, p_key, p_entry) and occurred_at >= p_start
            order by occurred_at desc, event_key desc, entry desc
            limit p_look_at
        ) as looked_at
        where created_at <= p_recorded_by
          and (p_service_type is null or service_type = p_service_type) and (p_outcome is null or outcome::text = p_outcome)
        order by looked_at.occurred_at desc, looked_at.event_key desc, looked_at.entry desc
        limit p_rows;
    end if;
    get diagnostics found_rows = row_count;
    if found_rows = p_rows then
        return;
    end if;

    -- Fewer than wanted: up to here was looked; nothing where that was everything.
    if p_user_id is null then
        select occurred_at, event_key, entry into read_usage_page.occurred_at, read_usage_page.event_key, read_usage_page.entry
        from credit_usage_attribution
        where org_id = p_org_id and (occurred_at, event_key, entry) < (p_time, p_key, p_entry) and occurred_at >= p_start
        order by occurred_at desc, event_key desc, entry desc
        offset p_look_at - 1 limit 1;
    else
        select occurred_at, event_key, entry into read_usage_page.occurred_at, read_usage_page.event_key, read_usage_page.entry
        from credit_usage_attribution
        where org_id = p_org_id and user_id = p_user_id
          and (occurred_at, event_key, entry) < (p_time, p_key, p_entry) and occurred_at >= p_start
        order by occurred_at desc, event_key desc, entry desc
        offset p_look_at - 1 limit 1;
    end if;
    if found then
        return next;
    end if;
end
$$;
