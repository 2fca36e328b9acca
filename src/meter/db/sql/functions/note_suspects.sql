-- Notes that a process begins to handle messages together, but those of which there is a note already.
--
-- p_digests: SHA-256 of each message. p_holder: a number of the process's own; the session holds an advisory lock under
-- it from now on until it ends.
-- Returns: those of which there is a note already: they are to be handled alone.
-- Locks: the new rows, by digest.
create or replace function note_suspects(p_digests bytea[], p_holder bigint) returns bytea[]
language plpgsql volatile security definer
set search_path = public, pg_temp
-- A note lost with the server's power is one death less, and nothing waits for the disk.
set synchronous_commit = off
as $$
declare
    known bytea[];
begin
    perform pg_advisory_lock_shared(p_holder);
    with noted as (
        insert into suspect_messages (digest, holder, server_started, alone)
        select distinct digest, p_holder, pg_postmaster_start_time(), false
        from unnest(p_digests) as suspect (digest)
        order by digest
        on conflict do nothing
        returning digest
    )
    select array(select digest from unnest(p_digests) as suspect (digest) except select digest from noted) into known;
    return known;
end
$$;
