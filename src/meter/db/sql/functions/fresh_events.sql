-- Which events of a batch wrote a row.
--
-- event_org_ids, event_keys: the events, as usage_columns orders them. inserted_...: the rows that were written.
-- Returns: for each event whether its row is new; of several with the same key only the first can be.
create or replace function fresh_events(
    event_org_ids varchar[], event_keys uuid[], inserted_org_ids varchar[], inserted_keys uuid[]
) returns boolean[]
language plpgsql immutable
set search_path = public, pg_temp
-- Both sides are long, and nothing tells the planner.
set enable_nestloop = off
as $$
begin
    return array(
        select inserted.event_key is not null
               and (event.org_id, event.event_key) is distinct from
                   (event_org_ids[event.no - 1], event_keys[event.no - 1])
        from unnest(event_org_ids, event_keys) with ordinality as event (org_id, event_key, no)
        left join unnest(inserted_org_ids, inserted_keys) as inserted (org_id, event_key) using (org_id, event_key)
        order by event.no
    );
end
$$;
