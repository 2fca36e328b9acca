-- Settles a batch of usage events: the same rows and balances as settling them one by one in the order of the batch.
--
-- p_events: JSON array of rated events, each an object with
--     org_id, event_key (uuid), event_id (null where it is the key), source, user_id, service_type, service_name,
--     quantity, credits (null: no price), credits_given, key_source, key_source_given, api_cost (USD), markup,
--     request_id, metadata, folded (names in metadata that decide no conflict), occurred_at (null: now, and it decides
--     no conflict), refusal (null, or why rating found that no retry can settle it).
-- p_rating_epoch: the epoch of the prices and plans they were rated with; null: they needed none.
--
-- Returns: one row an event, in the order of the batch: its position (from 1), its outcome
--     (charged, overage, unfunded, unpriced, duplicate, conflict, refused), the reason of an unfunded or refused one,
--     and the credits of what was written (0 otherwise).
-- Locks, in this order: ledger rows by (org_id, event_key) as they are inserted, with an outcome predicted from
--     balances read before any lock; then the pools of their organizations by org_id. Allocations are changed only by
--     who holds the pool, so their order does not matter. Balances count only as read after the pools were locked; a
--     row whose prediction was wrong is corrected before anyone else can see it.
-- Raises: MT007 the rating is stale; MT008 an organization vanished meanwhile; class 22 for a value that does not fit;
--     25000 in any isolation level but read committed, where reading after the lock would see the past.
create or replace function settle_usage(p_events json, p_rating_epoch bigint default null)
returns table (pos bigint, outcome text, reason text, credits numeric)
language plpgsql volatile security definer
set search_path = public, pg_temp
-- A plan made without seeing the batch takes it for ten rows and joins thousands by nested loops.
set plan_cache_mode = force_custom_plan
set jit = off
as $$
#variable_conflict use_column
declare
    latest constant timestamptz := clock_timestamp() + interval '5 minutes';
    batch settling_event[];
    fresh_orgs varchar[];
    contested varchar[];
    settled settled_event[] := '{}';
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'usage is settled in read committed transactions only' using errcode = '25000';
    end if;
    if p_rating_epoch is not null and p_rating_epoch <> (select epoch from rating_epoch) then
        raise exception 'prices or plans changed since these events were rated'
            using errcode = 'MT007', hint = 'Rate them again and settle them then.';
    end if;

    batch := insert_usage(p_events, latest);

    select array_agg(distinct event.org_id) into fresh_orgs from unnest(batch) as event where event.fresh;
    if fresh_orgs is not null then
        perform lock_pools(fresh_orgs);

        -- Where pool and allocations cover all of the batch, the order in it cannot matter.
        contested := contested_organizations(batch);
        select array_agg(row(event.pos, event.org_id, event.event_key, event.user_id, event.credits,
                             case when event.priced then 'charged' else 'unpriced' end, null,
                             allocation.id, allocation.period_no)::settled_event)
        into settled
        from unnest(batch) as event
        left join user_credit_allocations allocation
               on allocation.org_id = event.org_id and allocation.user_id = event.user_id and allocation.is_active
        where event.fresh and not (event.priced and event.org_id = any (contested));
        if contested <> '{}' then
            settled := settled || settle_in_order(array(
                select event from unnest(batch) as event
                where event.fresh and event.priced and event.org_id = any (contested)
            ));
        end if;

        perform apply_settlement(batch, settled);
    end if;

    return query
        with answered as (
            select event.pos, event.outcome::text as outcome, event.reason::text as reason, event.credits
            from unnest(settled) as event
            union all
            select known.pos, known.outcome, known.reason, 0::numeric
            from compare_with_ledger(p_events, batch) as known
        )
        select answered.pos, answered.outcome, answered.reason, answered.credits from answered order by answered.pos;
end
$$;
