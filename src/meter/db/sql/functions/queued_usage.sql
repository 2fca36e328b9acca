-- The keys of an organization's ledger rows that the sums of usage do not hold yet.
create or replace function queued_usage(p_org_id varchar) returns table (key uuid, entry smallint)
language sql stable security definer
set search_path = public, pg_temp
as $$
    select listed.key, coalesce(listed.entry, 0::smallint)
    from (
        select event_keys, entries, ends, array_position(org_ids, p_org_id) as place from usage_rollup_queue
    ) as batch
    cross join lateral (select coalesce(batch.ends[batch.place - 1], 0) + 1 as first, batch.ends[batch.place] as last) as own
    cross join unnest(batch.event_keys[own.first : own.last], batch.entries[own.first : own.last]) as listed (key, entry)
    where batch.place is not null
$$;
