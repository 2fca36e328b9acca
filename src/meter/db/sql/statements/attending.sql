-- Whether the database is at work on what a connection waits for, as meter_worker.

-- name: session_is_idle
-- Whether a session does nothing for anyone, or is gone: a transaction always holds a lock, on its own number, and
-- that everyone may see. Never where a pooler gives sessions numbers of its own.
-- $1 process number of the session, $2 that of this one as the connection was told.
select pg_backend_pid() = $2 and not exists (select from pg_locks where pid = $1);
