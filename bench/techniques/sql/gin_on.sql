-- What searching in metadata would need.
create index bench_gin on credit_usage_attribution using gin (request_metadata)
