-- How many rows of the ledger the sums do not hold yet.
select coalesce(sum(cardinality(event_keys)), 0) from usage_rollup_queue
