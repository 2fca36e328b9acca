-- Which server this is, as any role.

-- name: which_server
-- The system it belongs to, and its timeline; null: it is a standby. What the control file says of the timeline lags
-- behind a promotion, the name of the log file does not.
select system_identifier,
       case when not pg_is_in_recovery()
            then ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer end as timeline
from pg_control_system();
