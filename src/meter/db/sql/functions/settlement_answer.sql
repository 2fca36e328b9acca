-- The answer of a settlement: one letter an event (settlement_letters), in the order of positions.
--
-- positions: of each event. letters: of the events that wrote no row, null for those that did; null: all did.
-- settled: the events that were not just charged; pos is the position.
create or replace function settlement_answer(positions integer[], letters text[], settled settled_event[]) returns text
language plpgsql immutable
set search_path = public, pg_temp
as $$
declare
    answers text[];
    place integer;
    letter text;
    decided settled_event;
begin
    if letters is null and settled is null then
        return repeat('c', cardinality(positions));
    end if;
    if settled is null and 'd' = all (letters) then
        return repeat('d', cardinality(positions));
    end if;
    answers := array_fill(null::text, array[cardinality(positions)]);
    -- Few have one, else sorting would be quicker.
    for place, letter in
        select event.position, event.letter from unnest(positions, letters) as event (position, letter)
        where event.letter is not null
    loop
        answers[place] := letter;
    end loop;
    foreach decided in array coalesce(settled, '{}') loop
        answers[decided.pos] := case decided.outcome
            when 'charged' then 'c' when 'overage' then 'o' when 'unpriced' then 'p'
            else case decided.reason when 'organization_closed' then '1' when 'no_allocation' then '2'
                                   when 'allocation_exhausted' then '3' else '4' end end;
    end loop;
    return array_to_string(answers, '', 'c');
end
$$;
