-- Notes the ledger's keys and indexes, and removes them: built at once they take a tenth of the time.
do $$
declare
    wanted record;
begin
    create table bench_indexes as
    select coalesce(conname, relname) as name, conname is not null as is_key,
           coalesce('alter table credit_usage_attribution add constraint ' || quote_ident(conname) || ' '
                    || pg_get_constraintdef(pg_constraint.oid), pg_get_indexdef(indexrelid)) as definition
    from pg_index
    join pg_class on pg_class.oid = indexrelid
    left join pg_constraint on conindid = indexrelid and contype in ('p', 'u')
    where indrelid = 'credit_usage_attribution'::regclass;
    for wanted in select * from bench_indexes loop
        execute format(case when wanted.is_key then 'alter table credit_usage_attribution drop constraint %I'
                            else 'drop index %I' end, wanted.name);
    end loop;
end
$$
