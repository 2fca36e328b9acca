-- A note of nothing, an hour old: the oldest of the queue decides whether it is time.
insert into usage_rollup_queue (queued_at, org_ids, ends, event_keys) values (now() - interval '1 hour', '{}', '{}', '{}')
