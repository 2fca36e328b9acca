-- Undoes gin_on.sql.
drop index bench_gin
