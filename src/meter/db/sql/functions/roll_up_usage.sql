-- Adds what waits in the queue to the sums of usage. Called by workers again and again; one at a time does the work.
--
-- The more rows at once, the less each costs: sums are changed once for all of them, which for a million is half of the
-- cost. So it waits while much comes in, and not while there is time. The first sums of an organization, which take as
-- long as thousands of its entries, wait for such a time, too, unless it has very many.
--
-- p_oldest: leaves the queue alone while nothing in it is older than this. p_rows: ledger rows to take off it at about
-- most, and does not wait while there are as many; nor, while less comes in than calm, for an organization that has as many
-- as many_of_one. p_enough: entries from which on an organization is summed.
-- Returns: how many ledger rows were taken off the queue; null: nothing to do, or another does it.
-- Locks: the row of usage_rollup_state, then rows of the sums; nothing that settlement waits for.
create or replace function roll_up_usage(
    p_oldest interval default '60 seconds', p_rows integer default 2000000, p_enough bigint default 10000
) returns bigint
language plpgsql volatile security definer
set search_path = public, pg_temp
set work_mem = '64MB'
set jit = off
-- Unsorted rows of long arrays are grouped by hashing, whatever few the planner takes them for.
set enable_sort = off
-- The planner knows nothing of arrays; every way in is by key.
set plan_cache_mode = force_generic_plan
as $$
declare
    bytes_a_key constant bigint := 16;
    -- Ledger rows a second; a few of the cores settle more.
    calm constant bigint := 10000;
    -- Adding up so many, which every summary of the organization has to do, takes a third of its time.
    many_of_one constant bigint := 5000;
    -- Times p_enough: without sums every summary of the organization reads so many entries.
    very_many constant bigint := 10;
    is_calm boolean;
    oldest timestamptz;
    queued bigint;
    notes tid[];
    taken_rows bigint;
    incomplete varchar;
begin
    perform from usage_rollup_state for update skip locked;
    if not found or not rollup_may_begin() then
        return null;
    end if;

    select min(queued_at), sum(pg_column_size(event_keys)) / bytes_a_key into oldest, queued from usage_rollup_queue;
    is_calm := coalesce(queued <= calm * extract(epoch from clock_timestamp() - oldest), true);
    if oldest <= clock_timestamp() - p_oldest or queued >= p_rows
       or queued >= many_of_one and is_calm and exists (
           select from usage_rollup_queue batch
           cross join unnest(batch.org_ids, batch.ends, 0 || batch.ends) as org (id, last, before)
           where org.id is not null
           group by org.id
           having sum(org.last - org.before) >= many_of_one
       ) then
        notes := array(
            select waiting.ctid
            from (
                select ctid, sum(pg_column_size(event_keys)) over (order by ctid) - pg_column_size(event_keys) as before
                from usage_rollup_queue
            ) as waiting
            where waiting.before < p_rows * bytes_a_key
        );
        -- Once its sums are complete, it matters no more how many entries an organization has.
        insert into rolled_up_organizations as known (org_id, entries)
        select id, rows
        from (
            select org.id, sum(org.last - org.before) as rows
            from (
                select unnest(org_ids) as id, unnest(ends) as last, unnest(0 || ends) as before
                from usage_rollup_queue
                where ctid = any (notes)
            ) as org
            group by org.id
        ) as added
        where exists (select from organizations where organizations.id = added.id)
          and not exists (select from rolled_up_organizations where org_id = added.id and is_complete)
        on conflict (org_id) do update set entries = known.entries + excluded.entries;
        perform add_to_rollup(notes, null);
        with taken as (
            delete from usage_rollup_queue where ctid = any (notes) returning coalesce(ends[cardinality(ends)], 0) as rows
        )
        select sum(rows) into taken_rows from taken;
    end if;

    -- One at a time: the first sum of an organization may take long.
    select org_id into incomplete
    from rolled_up_organizations
    where not is_complete and entries >= p_enough * case when is_calm then 1 else very_many end
    limit 1;
    if incomplete is not null then
        perform add_to_rollup(null, incomplete);
        update rolled_up_organizations set is_complete = true where org_id = incomplete;
    end if;
    if taken_rows is null and incomplete is null then
        return null;
    end if;
    return coalesce(taken_rows, 0);
end
$$;
