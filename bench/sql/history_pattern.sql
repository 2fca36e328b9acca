-- The rows of the ledger in the order in which they were written; bench_share tells how far down, from 0 to 1.
create table bench_pattern as
select *, row_number() over () / count(*) over ()::float8 as bench_share from credit_usage_attribution
