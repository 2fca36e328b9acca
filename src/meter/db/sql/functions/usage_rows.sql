-- The ledger's rows of a batch, in its order: entry 0 of every event that can be written, with the outcome that was
-- predicted for its account. Part of the statement that inserts them: the planner puts it in there.
--
-- usage: the batch. sources to folded: its kinds; account_...: its accounts; as arrays, whose elements are found at once.
-- latest: an event that occurred after this is left out, as are those that rating refused, those of unknown organizations,
-- and those named by left_out (null: none).
create or replace function usage_rows(
    usage usage_columns, sources varchar[], service_types varchar[], service_names varchar[], quantities numeric[],
    key_sources provider_key_source[], credits_given boolean[], key_sources_given boolean[], folded text[],
    account_org_ids varchar[], account_users varchar[], outcomes usage_outcome[], reasons unfunded_reason[],
    allocation_ids bigint[], period_nos integer[], latest timestamptz, left_out boolean[]
)
returns setof credit_usage_attribution
language sql stable
as $$
    select event.event_key, coalesce(event.occurred_at, now()), now(),
           allocation_ids[event.account], period_nos[event.account],
           case when event.credits is null then 'unpriced' when event.credits = 0 then 'charged'
                else outcomes[event.account] end,
           case when event.credits <> 0 then reasons[event.account] end,
           key_sources[event.kind], 0::smallint, credits_given[event.kind], key_sources_given[event.kind],
           account_org_ids[event.account], event.event_id, sources[event.kind], account_users[event.account],
           coalesce(event.credits, 0)::numeric(20, 6), service_types[event.kind], service_names[event.kind],
           quantities[event.kind]::numeric(20, 6), event.api_cost::numeric(20, 6), event.markup::numeric(20, 6),
           event.request_id, event.metadata::jsonb, folded[event.kind]::text[], null::uuid
    -- Side by side in a list of columns, in order: in a list of tables each array would be put down for itself.
    from (
        select unnest(usage.accounts) as account, unnest(usage.kinds) as kind, unnest(usage.event_keys) as event_key,
               unnest(usage.event_ids) as event_id, unnest(usage.credits) as credits, unnest(usage.api_costs) as api_cost,
               unnest(usage.markups) as markup, unnest(usage.request_ids) as request_id,
               unnest(usage.metadata) as metadata, unnest(usage.occurred_at) as occurred_at,
               unnest(usage.refusals) as refusal, unnest(left_out) as is_left_out
    ) as event
    where outcomes[event.account] is not null
      and (event.occurred_at is null or event.occurred_at <= latest)
      and event.refusal is null
      and event.is_left_out is not true
$$;
