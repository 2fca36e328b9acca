-- Makes the end of this transaction wait for synchronous standbys, where there are any, though it may have written
-- nothing: what it answers was read, and what was read may be known to this server only. A commit that waited for a
-- standby and was ended while it did is visible to everyone.
--
-- Locks: nothing. Costs: one small record in the log, and its way to the standby.
create or replace function wait_for_standbys() returns void
language plpgsql volatile
set search_path = public, pg_temp
as $$
begin
    if current_setting('synchronous_standby_names') <> '' then
        perform pg_logical_emit_message(true, 'meter', '');
    end if;
end
$$;
