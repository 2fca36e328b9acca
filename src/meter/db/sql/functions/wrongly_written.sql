-- Which events were written otherwise than they were settled in the end.
--
-- batch: the events with what was written of them. settled: the same events with the outcome that holds.
-- Returns: those of the latter that differ.
create or replace function wrongly_written(batch settling_event[], settled settled_event[]) returns settled_event[]
language plpgsql immutable
set search_path = public, pg_temp
-- Both sides are long, and nothing tells the planner.
set enable_nestloop = off
set enable_hashjoin = on
as $$
begin
    return array(
        select final
        from unnest(settled) as final
        join unnest(batch) as written using (pos)
        where (final.outcome, final.reason, final.allocation_id, final.period_no)
              is distinct from (written.outcome, written.reason, written.allocation_id, written.period_no)
    );
end
$$;
