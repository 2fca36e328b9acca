-- Looks for events that rating refused: such an event is inserted nowhere, so that only looking tells whether it is
-- known. That is done after the batch has waited for others, when their pools are locked or nothing was written: whoever
-- settled one of them meanwhile came before this batch.
--
-- usage: the batch. event_org_ids: the organization of each event. letters: of the events that wrote no row, null for
-- those that did. fresh: which events wrote a row.
-- Returns: the letters that hold.
create or replace function known_after_all(
    usage usage_columns, event_org_ids varchar[], letters text[], fresh boolean[]
) returns text[]
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    -- What this batch wrote itself was known to nobody.
    doubtful constant boolean[] := array(
        select event.letter is not distinct from 'r'
               and not bool_or(event.is_fresh) over (partition by event.org_id, event.event_key)
        from unnest(event_org_ids, usage.event_keys, letters, fresh) with ordinality
             as event (org_id, event_key, letter, is_fresh, no)
        order by event.no
    );
begin
    return array(
        select coalesce(event.known, event.letter)
        from unnest(letters, compare_with_ledger(usage, doubtful)) with ordinality
             as event (letter, known, no)
        order by event.no
    );
end
$$;
