-- Which events of a batch come after one with the same key that can be written.
--
-- usage: the batch. event_org_ids: the organization of each event. latest: an event that occurred after this is refused.
-- Returns: for each event whether it is a repetition; null: none is.
create or replace function repeated_usage(usage usage_columns, event_org_ids varchar[], latest timestamptz) returns boolean[]
language plpgsql immutable
set search_path = public, pg_temp
as $$
declare
    event_keys constant uuid[] := usage.event_keys;
begin
    -- Events with the same key are neighbours.
    if not exists (
        select 1 from unnest(event_org_ids, event_keys) with ordinality as event (org_id, event_key, no)
        where event.no > 1 and event.event_key = event_keys[event.no - 1] and event.org_id = event_org_ids[event.no - 1]
    ) then
        return null;
    end if;
    return array(
        select coalesce(bool_or(event.refusal is null and (event.occurred_at is null or event.occurred_at <= latest)) over (
                   partition by event.org_id, event.event_key
                   order by event.no rows between unbounded preceding and 1 preceding
               ), false)
        from unnest(event_org_ids, event_keys, usage.occurred_at, usage.refusals) with ordinality
             as event (org_id, event_key, occurred_at, refusal, no)
        order by event.no
    );
end
$$;
