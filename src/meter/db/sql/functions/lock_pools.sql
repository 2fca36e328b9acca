-- Locks the pools of organizations, in the order of their ids: the one lock order of the house.
--
-- org_ids: organizations, in any order.
-- Locks: their rows in organization_credit_pools, until the transaction ends.
-- Raises: MT008 when one of them has no pool (any more).
create or replace function lock_pools(org_ids varchar[]) returns void
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
    locked integer;
begin
    select count(*) into locked
    from (
        select 1 from organization_credit_pools pool
        where pool.org_id = any (org_ids)
        order by pool.org_id
        for no key update
    ) as pools;
    if locked <> cardinality(org_ids) then
        raise exception 'an organization vanished while its usage was being settled'
            using errcode = 'MT008', hint = 'Settle the same events again.';
    end if;
end
$$;
