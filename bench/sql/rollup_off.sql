-- Functions ($1, their names) as they are, and as ones that do nothing.
select pg_get_functiondef(oid) as definition,
       format('create or replace function %s(%s) returns %s language sql as %L',
              oid::regproc, pg_get_function_arguments(oid), prorettype::regtype,
              case when prorettype = 'void'::regtype then 'select' else 'select null::' || prorettype::regtype end) as idle
from pg_proc
where proname = any ($1::text[])
