-- Builds them again.
do $$
declare
    wanted record;
begin
    for wanted in select * from bench_indexes loop
        execute wanted.definition;
    end loop;
    drop table bench_indexes, bench_pattern;
end
$$
