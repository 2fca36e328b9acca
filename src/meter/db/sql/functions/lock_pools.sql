-- Locks the pools of organizations, in the order of their ids: the one lock order of the house.
--
-- org_ids: organizations, in any order.
-- Returns: those of them for which voids wait whose events have not come; null: for none.
-- Locks: their rows in organization_credit_pools, until the transaction ends.
-- Raises: MT008 when one of them has no pool (any more).
create or replace function lock_pools(org_ids varchar[]) returns varchar[]
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
    locked integer;
    awaiting varchar[];
begin
    -- Of a row that was waited for, the columns are read as they are once it is locked.
    select count(*), array_agg(pools.org_id) filter (where pools.pending_voids > 0) into locked, awaiting
    from (
        select pool.org_id, pool.pending_voids from organization_credit_pools pool
        where pool.org_id = any (org_ids)
        order by pool.org_id
        for no key update
    ) as pools;
    if locked <> cardinality(org_ids) then
        raise exception 'an organization vanished while its usage was being settled'
            using errcode = 'MT008', hint = 'Settle the same events again.';
    end if;
    return awaiting;
end
$$;
