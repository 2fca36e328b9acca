-- Takes the notes of messages back that were handled: they were settled, are dead letters, or the database failed them.
--
-- p_digests: SHA-256 of each message. p_holder: of the process that took the notes; those of another stay.
create or replace function clear_suspects(p_digests bytea[], p_holder bigint) returns void
language sql volatile security definer
set search_path = public, pg_temp
set synchronous_commit = off
as $$
    delete from suspect_messages where digest = any (p_digests) and holder = p_holder
$$;
