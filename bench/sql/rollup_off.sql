-- Settlement no longer says what it wrote, so that nothing is added up; rollup_on.sql puts it back.
create table bench_functions as
select pg_get_functiondef(oid) as definition from pg_proc where proname = 'queue_for_rollup';
create or replace function queue_for_rollup(
    org_ids varchar[], ends integer[], event_keys uuid[], entries smallint[] default null
) returns void
language sql volatile
as $$ select $$
