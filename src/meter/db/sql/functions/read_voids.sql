-- The voids of a batch, a JSON array of objects with the fields of usage_void, numbered from 1 in the order of the batch.
create or replace function read_voids(p_voids json) returns setof usage_void
language sql immutable
set search_path = public, pg_temp
as $$
    select void.*
    from rows from (json_to_recordset(p_voids) as (
        org_id varchar, event_key uuid, event_id varchar, source varchar, target_key uuid, metadata jsonb, folded text[],
        occurred_at timestamptz
    )) with ordinality as void
$$;
