-- A new table with the columns, defaults, constraints and indexes of the ledger.
create table bench_copy (like credit_usage_attribution including all)
