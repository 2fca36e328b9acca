-- Settles a batch of usage given as columns: the same rows and balances as settling its events one by one in the order
-- of their positions.
--
-- usage: the batch; the type usage_columns says what each column holds.
-- rating_epoch: the epoch of the prices and plans its events were rated with; null: they needed none.
-- expect_new: whether none of the events is expected to be known, which changes only what it costs: otherwise they are
-- looked for before anything is inserted.
--
-- Returns: one letter for each event, in the order of positions; settlement_letters says what they mean.
-- Locks, in this order: ledger rows by (org_id, event_key) as they are inserted, with an outcome predicted from
--     balances read before any lock; then the pools of their organizations by org_id. Allocations are changed only by
--     who holds the pool, so their order does not matter. Balances count only as read after the pools were locked; a
--     row whose prediction was wrong is corrected before anyone else can see it.
-- Raises: MT007 the rating is stale; MT008 an organization vanished meanwhile; class 22 for a value that does not fit;
--     23505 an event is known although none was expected to be: the caller repeats the batch with another expectation;
--     25000 in any isolation level but read committed, where reading after the lock would see the past.
create or replace function settle_usage_columns(
    usage usage_columns, rating_epoch bigint default null, expect_new boolean default false
) returns text
language plpgsql volatile security definer
set search_path = public, pg_temp
-- Every statement looks up rows by key for the elements of an array: one plan is right for any length, and for any
-- size of the tables; one made while they were empty would else go on reading all of them.
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_material = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
    latest constant timestamptz := clock_timestamp() + interval '5 minutes';
    event_count constant integer := cardinality(usage.event_keys);
    -- An element of a variable is found at once, one of a composite's array by walking to it.
    sources constant varchar[] := usage.sources;
    service_types constant varchar[] := usage.service_types;
    service_names constant varchar[] := usage.service_names;
    quantities constant numeric[] := usage.quantities;
    key_sources constant provider_key_source[] := usage.key_sources;
    credits_given constant boolean[] := usage.credits_given;
    key_sources_given constant boolean[] := usage.key_sources_given;
    folded constant text[] := usage.folded;
    account_users constant varchar[] := usage.account_users;
    org_ids constant varchar[] := usage.org_ids;
    account_orgs constant integer[] := usage.account_orgs;
    account_org_ids constant varchar[] := array(
        select org_ids[account.org] from unnest(account_orgs) with ordinality as account (org, no) order by account.no
    );
    event_org_ids varchar[];
    totals numeric[];
    least_credits numeric[];
    event_counts integer[];
    outcomes usage_outcome[];
    reasons unfunded_reason[];
    allocation_ids bigint[];
    period_nos integer[];
    written integer;
    written_org_ids varchar[];
    written_keys uuid[];
    -- Which events write no row because they are known or repeated; null: none.
    left_out boolean[];
    repeated boolean[];
    -- Which events wrote a row; null: all.
    fresh boolean[];
    expected boolean[];
    -- Those of which the totals are.
    counted boolean[];
    -- For each organization whether its events have to be decided one by one.
    short boolean[];
    -- Organizations for which voids wait, and whether an event of this batch is what one of them waits for.
    awaiting varchar[];
    is_awaited boolean := false;
    careful settling_event[];
    queued tid;
    letters text[];
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'usage is settled in read committed transactions only' using errcode = '25000';
    end if;
    if rating_epoch is not null and rating_epoch <> (select current.epoch from rating_epoch as current) then
        raise exception 'prices or plans changed since these events were rated'
            using errcode = 'MT007', hint = 'Rate them again and settle them then.';
    end if;

    if usage.refusals is not null then
        event_org_ids := organizations_of_events(usage.accounts, account_org_ids);
    end if;
    if expect_new is not true then
        letters := compare_with_ledger(usage, null);
        if num_nulls(variadic letters) = 0 then
            perform wait_for_standbys();
            return settlement_answer(usage.positions, letters, null);
        end if;
        if num_nulls(variadic letters) = event_count then
            letters := null;
        end if;
    end if;
    if expect_new is not true or usage.refusals is not null then
        repeated := repeated_usage(usage, latest);
    end if;
    if letters is null then
        left_out := repeated;
    else
        left_out := array(
            select event.letter is not null or event.is_repeated is true
            from unnest(letters, repeated) with ordinality as event (letter, is_repeated, no) order by event.no
        );
    end if;
    if left_out is not null then
        fresh := array(
            select not event.is_left_out from unnest(left_out) with ordinality as event (is_left_out, no) order by event.no
        );
    end if;

    select asked.totals, asked.least_credits, asked.event_counts into totals, least_credits, event_counts
    from usage_totals(cardinality(account_users), usage.accounts, usage.credits, fresh) as asked;
    select forecast.outcomes, forecast.reasons, forecast.allocation_ids, forecast.period_nos
    into outcomes, reasons, allocation_ids, period_nos
    from forecast_usage(org_ids, account_orgs, account_users, least_credits) as forecast;

    begin
        insert into credit_usage_attribution
        select * from usage_rows(usage, sources, service_types, service_names, quantities, key_sources, credits_given,
                                 key_sources_given, folded, account_org_ids, account_users, outcomes, reasons,
                                 allocation_ids, period_nos, latest, left_out);
        get diagnostics written = row_count;
    exception when unique_violation then
        if expect_new then
            raise;
        end if;
        -- Others settle some of the events at this very moment: this waits for them and passes those over.
        event_org_ids := organizations_of_events(usage.accounts, account_org_ids);
        with inserted as (
            insert into credit_usage_attribution
            select * from usage_rows(usage, sources, service_types, service_names, quantities, key_sources, credits_given,
                                     key_sources_given, folded, account_org_ids, account_users, outcomes, reasons,
                                     allocation_ids, period_nos, latest, left_out)
            on conflict (org_id, event_key, entry) do nothing
            returning org_id, event_key
        )
        select count(*), array_agg(org_id), array_agg(event_key) into written, written_org_ids, written_keys
        from inserted;
    end;

    if written < event_count then
        counted := fresh;
        select array_agg(event.letter is null and event.is_left_out is not true and outcomes[event.account] is not null
                         and event.refusal is null
                         and (event.occurred_at is null or event.occurred_at <= latest) order by event.no),
               array_agg(case when outcomes[event.account] is null then 'u' when event.occurred_at > latest then 'f'
                              when event.letter is not null then event.letter
                              when event.refusal is not null and event.is_left_out is not true then 'r' end order by event.no)
        into fresh, letters
        from unnest(usage.accounts, usage.occurred_at, usage.refusals, letters, left_out) with ordinality
             as event (account, occurred_at, refusal, letter, is_left_out, no);
        if expect_new is not true and written < cardinality(array_positions(fresh, true)) then
            expected := fresh;
            fresh := written_events(event_org_ids, usage.event_keys, expected, written_org_ids, written_keys);
        end if;
        if expected is not null or true = any (repeated) then
            letters := array(
                select coalesce(event.letter, event.later)
                from unnest(letters, compare_with_ledger(usage, array(
                    select event.is_repeated is true or (event.is_expected and not event.is_fresh) is true
                    from unnest(repeated, expected, fresh) with ordinality as event (is_repeated, is_expected, is_fresh, no)
                    order by event.no
                ))) with ordinality as event (letter, later, no)
                order by event.no
            );
        end if;
        if num_nulls(variadic letters) > written then
            raise exception 'an organization vanished while its usage was being settled'
                using errcode = 'MT008', hint = 'Settle the same events again.';
        end if;
        if fresh is distinct from counted then
            select asked.totals, asked.event_counts into totals, event_counts
            from usage_totals(cardinality(account_users), usage.accounts, usage.credits, fresh) as asked;
        end if;
    end if;

    if written > 0 then
        queued := queue_for_rollup(usage, account_org_ids, allocation_ids, event_counts, fresh);
        awaiting := lock_pools(array(
            select org_ids[account.org] from unnest(account_orgs, totals) as account (org, total)
            group by account.org having count(account.total) > 0
            union
            select event.org_id from unnest(event_org_ids, letters) as event (org_id, letter) where event.letter = 'r'
        ));
        if awaiting is not null then
            is_awaited := exists (
                select 1 from unnest(usage.accounts, usage.event_keys, fresh) as event (account, event_key, is_fresh)
                join pending_voids waiting
                  on waiting.org_id = account_org_ids[event.account] and waiting.target_key = event.event_key
                where event.is_fresh is not false and account_org_ids[event.account] = any (awaiting)
            );
        end if;
    end if;
    if 'r' = any (letters) then
        letters := known_after_all(usage, event_org_ids, letters, fresh);
    end if;
    if written > 0 then
        short := array(
            select is_awaited or bool_or(account.total is not null and account.outcome <> 'charged')
            from unnest(account_orgs, outcomes, totals) as account (org, outcome, total)
            group by account.org order by account.org
        );
        begin
            perform take_credits(org_ids, account_orgs, account_users, totals, allocation_ids, period_nos, short);
        exception when sqlstate 'MT010' then
            short := short_organizations(org_ids, account_orgs, account_users, totals, outcomes, allocation_ids, period_nos);
            perform take_credits(org_ids, account_orgs, account_users, totals, allocation_ids, period_nos, short);
        end;
        if true = any (short) or usage.credits is null or array_position(usage.credits, null) is not null then
            careful := array(
                select row(event.position, account_org_ids[event.account], event.event_key, account_users[event.account],
                           coalesce(event.credits, 0), event.credits is not null, true, null,
                           case when event.credits is null then 'unpriced' when event.credits = 0 then 'charged'
                                else outcomes[event.account] end,
                           case when event.credits <> 0 then reasons[event.account] end,
                           allocation_ids[event.account], period_nos[event.account])::settling_event
                from unnest(usage.accounts, usage.event_keys, usage.credits, usage.positions, fresh)
                     as event (account, event_key, credits, position, is_fresh)
                where event.is_fresh is not false and (short[account_orgs[event.account]] or event.credits is null)
                order by event.position
            );
            perform look_up_for_rollup(
                queued, array(select distinct event.org_id from unnest(careful) as event), account_org_ids
            );
        end if;
    end if;
    if written = 0 then
        perform wait_for_standbys();
    end if;
    return settlement_answer(usage.positions, letters, case when is_awaited then settle_awaited(careful)
                                                              when careful <> '{}' then settle_carefully(careful) end);
end
$$;
