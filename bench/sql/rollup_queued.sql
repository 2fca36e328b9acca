-- About how many rows of the ledger came into the queue until a moment ($1) and are not in the sums yet; without fetching
-- their keys, of 16 bytes each, since this is asked again and again.
select coalesce(sum(pg_column_size(event_keys)) / 16, 0)::bigint from usage_rollup_queue where queued_at <= $1
