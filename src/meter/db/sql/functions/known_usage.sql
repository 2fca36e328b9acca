-- Answers for a batch that the ledger knows already, as when a queue is drained once more: nothing of it is new, so that
-- it needs no rating, takes no lock and writes no row.
--
-- usage: the batch as for settle_usage_columns, but not rated: credits and key sources count where the events bring them.
-- Returns: one letter for each event, in the order of positions, as settle_usage_columns does; null where an event of the
--     batch is not known: then nothing is done.
-- Locks: none. Raises: class 22 for a value that does not fit.
create or replace function known_usage(usage usage_columns) returns text
language plpgsql volatile security definer
set search_path = public, pg_temp
-- As for settle_usage_columns: one plan, which finds every row by its key.
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_material = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
    letters constant text[] := compare_with_ledger(usage, null);
begin
    if num_nulls(variadic letters) > 0 then
        return null;
    end if;
    perform wait_for_standbys();
    return settlement_answer(usage.positions, letters, null);
end
$$;
