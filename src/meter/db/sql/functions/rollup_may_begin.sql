-- Whether every transaction has ended that may have written to the ledger without queueing, because it began before the
-- functions did. When they have, counts what the ledger holds.
--
-- Locks: none; the caller holds the row of usage_rollup_state.
create or replace function rollup_may_begin() returns boolean
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
    awaited text[];
    running text[];
begin
    select waits_for into awaited from usage_rollup_state;
    if awaited = '{}' then
        return true;
    end if;
    running := array(
        select lock.virtualxid
        from pg_locks lock
        join pg_stat_activity activity on activity.pid = lock.pid and activity.datname = current_database()
        where lock.locktype = 'virtualxid' and lock.pid <> pg_backend_pid()
    );
    if awaited is null and running <> '{}' then
        update usage_rollup_state set waits_for = running;
        return false;
    elsif awaited && running then
        return false;
    end if;
    -- What is in the queue now is counted twice, which hurts nobody.
    insert into rolled_up_organizations (org_id, entries)
    select usage.org_id, count(*)
    from credit_usage_attribution usage
    where exists (select from organizations where id = usage.org_id)
    group by usage.org_id;
    update usage_rollup_state set waits_for = '{}';
    return true;
end
$$;
