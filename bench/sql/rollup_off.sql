-- Settlement no longer says what it wrote, so that nothing is added up; rollup_on.sql puts it back.
create table bench_functions as
select pg_get_functiondef(oid) as definition, oid::regproc::text as name, pg_get_function_arguments(oid) as arguments
from pg_proc where proname = 'queue_for_rollup';
do $$
declare
    queueing record;
begin
    for queueing in select name, arguments from bench_functions loop
        execute format('create or replace function %s(%s) returns void language sql as ''select''',
                       queueing.name, queueing.arguments);
    end loop;
end
$$;
