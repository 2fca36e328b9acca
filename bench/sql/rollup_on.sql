-- Undoes rollup_off.sql; what was settled in between is not in the sums.
do $$
begin
    execute (select definition from bench_functions);
    drop table bench_functions;
end
$$
