-- Which events of a batch wrote their row, where others may have settled some of them at the same time.
--
-- event_org_ids, event_keys: the events. fresh: which of them were to be written, each key once.
-- written_org_ids, written_keys: the rows that were.
-- Returns: for each event whether its row is new.
create or replace function written_events(
    event_org_ids varchar[], event_keys uuid[], fresh boolean[], written_org_ids varchar[], written_keys uuid[]
) returns boolean[]
language plpgsql immutable
set search_path = public, pg_temp
-- Both sides are long, and nothing tells the planner.
set enable_nestloop = off
set enable_hashjoin = on
as $$
begin
    return array(
        select event.is_fresh and written.event_key is not null
        from unnest(event_org_ids, event_keys, fresh) with ordinality as event (org_id, event_key, is_fresh, no)
        left join unnest(written_org_ids, written_keys) as written (org_id, event_key) using (org_id, event_key)
        order by event.no
    );
end
$$;
