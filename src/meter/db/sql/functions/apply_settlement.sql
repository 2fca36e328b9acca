-- Last step of settle_carefully: corrects the rows whose prediction was wrong and moves the balances.
--
-- batch: the events with the outcome that was written. settled: the fresh ones with the outcome that holds.
-- Locks: ledger rows of this transaction, allocations and pools; the caller holds the pools.
create or replace function apply_settlement(batch settling_event[], settled settled_event[]) returns void
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
    wrong constant settled_event[] := wrongly_written(batch, settled);
begin
    if wrong <> '{}' then
        update credit_usage_attribution row
        set outcome = final.outcome, reason = final.reason,
            allocation_id = final.allocation_id, period_no = final.period_no
        from unnest(wrong) as final
        where row.org_id = final.org_id and row.event_key = final.event_key and row.entry = 0;
    end if;

    with final as materialized (
        select * from unnest(settled)
    ),
    allocations as (
        update user_credit_allocations allocation
        set used_credits = allocation.used_credits + taken.credits, updated_at = now()
        from (
            select org_id, user_id, sum(credits) as credits
            from final
            where outcome in ('charged', 'overage') and allocation_id is not null
            group by org_id, user_id
            having sum(credits) > 0
        ) as taken
        where allocation.org_id = taken.org_id and allocation.user_id = taken.user_id
    ),
    opened as (
        insert into open_usage_events (org_id, open_no, event_key, outcome)
        select final.org_id,
               pool.last_open_no + row_number() over (partition by final.org_id order by final.pos),
               final.event_key, final.outcome
        from final
        join organization_credit_pools pool on pool.org_id = final.org_id
        where final.outcome in ('unfunded', 'unpriced')
    )
    update organization_credit_pools pool
    set used_credits = pool.used_credits + moved.charged,
        overage_credits = pool.overage_credits + moved.overage,
        unfunded_credits = pool.unfunded_credits + moved.unfunded,
        last_open_no = pool.last_open_no + moved.opened,
        updated_at = now()
    from (
        select org_id,
               coalesce(sum(credits) filter (where outcome = 'charged'), 0) as charged,
               coalesce(sum(credits) filter (where outcome = 'overage'), 0) as overage,
               coalesce(sum(credits) filter (where outcome = 'unfunded'), 0) as unfunded,
               count(*) filter (where outcome in ('unfunded', 'unpriced')) as opened
        from final
        group by org_id
    ) as moved
    where pool.org_id = moved.org_id and (moved.charged, moved.overage, moved.unfunded, moved.opened) <> (0, 0, 0, 0);
end
$$;
