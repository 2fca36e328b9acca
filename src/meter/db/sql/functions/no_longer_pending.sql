-- Takes a void off those that wait: its event has come.
--
-- p_org_id, p_target_key: the event. Returns: the void; null: none waited. Locks: a row of pending_voids; the caller
-- holds the pool.
create or replace function no_longer_pending(p_org_id varchar, p_target_key uuid) returns uuid
language sql volatile
set search_path = public, pg_temp
as $$
    with waited as (
        delete from pending_voids where org_id = p_org_id and target_key = p_target_key returning org_id, void_key
    )
    update organization_credit_pools pool set pending_voids = pool.pending_voids - 1
    from waited where pool.org_id = waited.org_id
    returning waited.void_key
$$;
