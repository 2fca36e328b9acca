-- Whether others settled, after the voids of a batch were judged, what would have changed the judgement: the void that
-- one of them names has come, so that it is a void of a void; or the key of one that was refused as such is taken.
--
-- p_voids: as settle_voids takes them. letters: what judge_voids said; those recorded are in the ledger by now.
-- Locks: none; the caller holds the pools of their organizations, so that the answer holds.
create or replace function voids_overtaken(p_voids json, letters text[]) returns boolean
language sql stable
set search_path = public, pg_temp
as $$
    with judged as (
        select listed.org_id, listed.event_key, letters[listed.pos] as letter,
               case letters[listed.pos] when 'v' then listed.target_key when 'w' then listed.event_key end as watched_key
        from read_voids(p_voids) as listed
    )
    select exists (
        select from judged
        join credit_usage_attribution first
          on first.org_id = judged.org_id and first.event_key = judged.watched_key and first.entry = 0
        where (judged.letter = 'w' or first.outcome = 'void')
          and not exists (select from judged own
                          where own.letter = 'v' and own.org_id = first.org_id and own.event_key = first.event_key)
    )
$$;
