-- Settles a batch of usage events: the same rows and balances as settling them one by one in the order of the batch.
-- The same as settle_usage_columns, for calls by hand.
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
-- Locks, raises: as settle_usage_columns.
create or replace function settle_usage(p_events json, p_rating_epoch bigint default null)
returns table (pos bigint, outcome text, reason text, credits numeric)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
    answers constant text := settle_usage_columns(usage_columns_of(p_events), p_rating_epoch);
begin
    return query
        select event.pos, meaning.outcome, coalesce(meaning.reason, case when meaning.letter = 'r' then event.refusal end),
               case when meaning.letter in ('d', 'x', 'u', 'f', 'r') then 0 else coalesce(event.credits, 0) end
        from read_usage(p_events) as event
        join settlement_letters() as meaning on meaning.letter = substr(answers, event.pos::integer, 1)
        order by event.pos;
end
$$;
