-- Adds the rows of bench_pattern once more to the ledger, in their order, under new keys.
--
-- oldest, newest: how long ago the first and the last row are to have happened.
create function bench_repeat(oldest interval, newest interval) returns void
language plpgsql
as $$
declare
    columns text;
    expressions text;
begin
    select string_agg(quote_ident(attname), ', ' order by attnum),
           string_agg(case attname when 'event_key' then 'key' when 'event_id' then 'null'
                                   when 'occurred_at' then 'uuid_extract_timestamp(key)'
                                   when 'created_at' then 'uuid_extract_timestamp(key)'
                                   else quote_ident(attname) end, ', ' order by attnum)
    into columns, expressions
    from pg_attribute
    where attrelid = 'credit_usage_attribution'::regclass and attnum > 0 and not attisdropped;
    execute format(
        'insert into credit_usage_attribution (%s)
         select %s from (select *, uuidv7($1 + bench_share * $2) as key from bench_pattern order by bench_share) as past',
        columns, expressions
    ) using -oldest, oldest - newest;
end
$$
