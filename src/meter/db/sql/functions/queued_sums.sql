-- What notes of the queue say that settlement wrote, added up by minutes.
--
-- notes: rows of the queue. Those of organizations whose sums are not complete are passed over.
-- Returns: sums of signed credits over entries, and of quantity and api_cost (USD) over entries 0, which are the events.
-- Locks: none.
create or replace function queued_sums(notes tid[])
returns table (
    org_id varchar, user_id varchar, minute timestamptz, service_type varchar, service_name varchar, outcome usage_outcome,
    entries bigint, events bigint, quantity numeric, credits numeric, api_cost numeric
)
language sql stable
set search_path = public, pg_temp
as $$
    -- Events that were simply charged are added up from what the notes carry, and by numbers, so that no event is joined
    -- with anything: an account is known by its allocation, and those without one are numbered over all notes, below 0.
    with numbered_account as materialized (
        select org_id, user_id, -row_number() over () as number
        from (
            select unnest(account_org_ids) as org_id, unnest(account_users) as user_id, unnest(allocation_ids) as allocation_id
            from usage_rollup_queue
            where ctid = any (notes) and account_users is not null
        ) as account
        where coalesce(allocation_id, 0) = 0
          and org_id in (select org_id from rolled_up_organizations where is_complete)
        group by org_id, user_id
    ),
    looked_up as materialized (
        select ctid as note, unnest(looked_up) as org_id from usage_rollup_queue where ctid = any (notes)
    ),
    -- 0: looked up, or in an organization without sums. Of an array of integers without nulls an element is found at once,
    -- but not of one that is kept out of line, of which `||` makes a copy.
    accounts_of_note as materialized (
        select ctid as note, allocation_ids || '{}'::bigint[] as numbers
        from usage_rollup_queue
        where ctid = any (notes) and accounts is not null and account_org_ids is null
        union all
        select account.note,
               array_agg(case when looked_up.note is not null then 0
                              else coalesce(nullif(account.allocation_id, 0), known.number, 0) end
                         order by account.place)
        from (
            select ctid as note, unnest(allocation_ids) as allocation_id, unnest(account_org_ids) as org_id,
                   unnest(account_users) as user_id, generate_subscripts(account_org_ids, 1) as place
            from usage_rollup_queue
            where ctid = any (notes) and accounts is not null and account_org_ids is not null
        ) as account
        left join numbered_account known on known.org_id = account.org_id and known.user_id = account.user_id
        left join looked_up on looked_up.note = account.note and looked_up.org_id = account.org_id
        group by account.note
    ),
    kind as not materialized (
        select ctid as note, unnest(service_types) as service_type, unnest(service_names) as service_name,
               unnest(quantities) as quantity, generate_subscripts(service_types, 1) as number
        from usage_rollup_queue
        where ctid = any (notes)
    ),
    numbered_kind as materialized (
        select service_type, service_name, quantity, row_number() over ()::integer as number
        from (select service_type, service_name, quantity from kind group by 1, 2, 3) as kinds
    ),
    kinds_of_note as materialized (
        select kind.note, array_agg(numbered_kind.number order by kind.number) as numbers
        from kind
        join numbered_kind on numbered_kind.service_type = kind.service_type and numbered_kind.quantity = kind.quantity
                              and coalesce(numbered_kind.service_name, '') = coalesce(kind.service_name, '')
                              and (numbered_kind.service_name is null) = (kind.service_name is null)
        group by kind.note
    ),
    carried as (
        select accounts[account] as account, kinds[kind] as kind,
               date_bin('1 minute', coalesce(occurred_at, written_at), '2000-01-03Z') as minute, count(*) as events,
               sum(credits) as credits, coalesce(sum(api_cost), 0) as api_cost
        from (
            select note.written_at, accounts_of_note.numbers as accounts, kinds_of_note.numbers as kinds,
                   unnest(note.accounts) as account, unnest(note.kinds) as kind, unnest(note.credits) as credits,
                   unnest(note.api_costs) as api_cost, unnest(note.occurred_at) as occurred_at
            from usage_rollup_queue note
            join accounts_of_note on accounts_of_note.note = note.ctid
            join kinds_of_note on kinds_of_note.note = note.ctid
            where note.ctid = any (notes)
        ) as event
        group by 1, 2, 3
    ),
    -- All else is looked up: what settlement corrected, later entries, and notes that carry nothing but keys.
    listed as materialized (
        select org.id as org_id, own.key, coalesce(own.entry, 0::smallint) as entry
        from usage_rollup_queue note
        cross join lateral unnest(note.org_ids, note.ends, 0 || note.ends) as org (id, last, before)
        cross join lateral (
            select unnest(note.event_keys[org.before + 1 : org.last]) as key,
                   unnest(note.entries[org.before + 1 : org.last]) as entry
        ) as own
        where note.ctid = any (notes) and (note.accounts is null or note.looked_up is not null)
          and (note.accounts is null or org.id = any (note.looked_up))
          and exists (select from rolled_up_organizations known where known.org_id = org.id and known.is_complete)
    ),
    -- One search of the ledger an organization, since its keys lie together. quantity and api_cost of events only, as they
    -- are summed.
    looked as (
        select usage.org_id, usage.user_id, usage.occurred_at, usage.service_type, usage.service_name, usage.outcome,
               1 as event, usage.quantity, usage.credits_used, usage.api_cost
        from (select org_id, array_agg(key) as keys from listed where entry = 0 group by org_id) as organization
        join credit_usage_attribution usage
          on usage.org_id = organization.org_id and usage.event_key = any (organization.keys) and usage.entry = 0
        union all
        select usage.org_id, usage.user_id, usage.occurred_at, usage.service_type, usage.service_name, usage.outcome,
               null, null, usage.credits_used, null
        from listed
        join credit_usage_attribution usage
          on usage.org_id = listed.org_id and usage.event_key = listed.key and usage.entry = listed.entry
        where listed.entry <> 0
    )
    select account.org_id, account.user_id, account.minute, kind.service_type, kind.service_name, 'charged'::usage_outcome,
           account.events, account.events, account.events * kind.quantity, account.credits, account.api_cost
    from (
        select carried.*, allocation.org_id, allocation.user_id
        from carried
        join user_credit_allocations allocation on allocation.id = carried.account
        where allocation.org_id in (select org_id from rolled_up_organizations where is_complete)
        union all
        select carried.*, account.org_id, account.user_id
        from carried
        join numbered_account account on account.number = carried.account
    ) as account
    join numbered_kind kind on kind.number = account.kind
    union all
    select org_id, user_id, date_bin('1 minute', occurred_at, '2000-01-03Z'), service_type, service_name, outcome,
           count(*), count(event), coalesce(sum(quantity), 0), sum(credits_used), coalesce(sum(api_cost), 0)
    from looked
    group by 1, 2, 3, 4, 5, 6
$$;
