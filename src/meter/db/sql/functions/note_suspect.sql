-- Notes that a process begins to handle a message alone, and says how many died or hung over it before.
--
-- p_digest: SHA-256 of the message. p_holder: a number of the process's own; the session holds an advisory lock under
-- it from now on until it ends.
-- Returns: deaths so far. One is counted where a note of another process is found that had nothing but this message and
-- whose session has ended, on a server that has been up since. A note that a living process left behind (it lost its
-- broker, or the database failed it) is taken over and counts nothing, and so is one on a message that had others beside.
-- Locks: the row; for up to two seconds waits for a session whose process is gone to be noticed.
create or replace function note_suspect(p_digest bytea, p_holder bigint) returns integer
language plpgsql volatile security definer
set search_path = public, pg_temp
-- A note lost with the server's power is one death less, and nothing waits for the disk.
set synchronous_commit = off
as $$
declare
    patience constant integer := 20;
    found_note suspect_messages;
    died integer := 0;
begin
    perform pg_advisory_lock_shared(p_holder);
    select * into found_note from suspect_messages where digest = p_digest for update;
    if found and found_note.alone and found_note.holder <> p_holder
        and found_note.server_started = pg_postmaster_start_time() then
        for attempt in 1..patience loop
            if pg_try_advisory_xact_lock(found_note.holder) then
                died := 1;
                exit;
            end if;
            perform pg_sleep(0.1);
        end loop;
    end if;
    insert into suspect_messages as note (digest, deaths, holder, server_started)
    values (p_digest, coalesce(found_note.deaths, 0) + died, p_holder, pg_postmaster_start_time())
    on conflict (digest) do update
        set deaths = note.deaths + died, holder = excluded.holder, server_started = excluded.server_started,
            alone = true;
    return coalesce(found_note.deaths, 0) + died;
end
$$;
