-- Takes the note of a message back that was handled alone: it was settled, is a dead letter, or the database failed it.
--
-- p_digest: SHA-256 of the message. p_holder: of the process that took the note; that of another stays.
create or replace function clear_suspect(p_digest bytea, p_holder bigint) returns void
language sql volatile security definer
set search_path = public, pg_temp
set synchronous_commit = off
as $$
    delete from suspect_messages where digest = p_digest and holder = p_holder
$$;
