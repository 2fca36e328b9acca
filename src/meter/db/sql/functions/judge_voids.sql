-- What becomes of the voids of a batch, each seeing those before it (DESIGN, "What a charge means", steps 5 to 7).
--
-- p_voids: as settle_voids takes them.
-- Returns: a letter for each (settlement_letters): v where it is to be recorded; null where it repeats the key of one
--     before it that is.
-- Locks: none.
create or replace function judge_voids(p_voids json) returns text[]
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    latest constant timestamptz := clock_timestamp() + interval '5 minutes';
    void usage_void;
    place text;
    letter text;
    -- Organization and key of those that are to be recorded.
    recorded text[] := '{}';
    letters text[] := '{}';
begin
    for void in select * from read_voids(p_voids) as listed order by listed.pos loop
        place := void.org_id || ' ' || void.event_key;
        letter := case when not exists (select from organizations where id = void.org_id) then 'u'
                       when void.occurred_at > latest then 'f'
                       else compare_void(void) end;
        if letter is null and place <> all (recorded) then
            letter := case when void.target_key = void.event_key
                             or void.org_id || ' ' || void.target_key = any (recorded)
                             or exists (
                                 select from credit_usage_attribution target
                                 where target.org_id = void.org_id and target.event_key = void.target_key
                                   and target.entry = 0 and target.outcome = 'void'
                             ) then 'w' else 'v' end;
            recorded := recorded || case when letter = 'v' then array[place] else '{}' end;
        end if;
        letters := letters || letter;
    end loop;
    return letters;
end
$$;
