-- Settles voids in the order of the batch (DESIGN, "What a charge means", step 7). A void that comes before its event
-- waits in pending_voids until settle_usage_columns meets the event.
--
-- p_voids: JSON array of objects with the fields of usage_void, its position left out.
-- Returns: one letter for each void, in order; settlement_letters says what they mean.
-- Locks, in this order: ledger rows by (org_id, event_key) as they are inserted; the pools of their organizations by
--     org_id; then ledger rows and allocations under them. What voids take back is read after the pools were locked.
--     Where others came in between, the rows and locks are given back, and the voids are judged again.
-- Raises: MT008 an organization vanished meanwhile; class 22 for a value that does not fit; 25000 in any isolation level
--     but read committed, where reading after the lock would see the past.
create or replace function settle_voids(p_voids json) returns text
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
    letters text[];
    recorded integer[];
    void usage_void;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'voids are settled in read committed transactions only' using errcode = '25000';
    end if;

    loop
        letters := judge_voids(p_voids);
        recorded := array_positions(letters, 'v');
        begin
            insert into credit_usage_attribution (
                event_key, occurred_at, outcome, key_source, entry, credits_given, key_source_given, org_id, event_id, source,
                credits_used, service_type, quantity, request_metadata, folded_fields, counterpart_key
            )
            select listed.event_key, coalesce(listed.occurred_at, now()), 'void', 'platform', 0, false, false,
                   listed.org_id, listed.event_id, listed.source, 0, 'void', 0, listed.metadata, listed.folded,
                   listed.target_key
            from read_voids(p_voids) as listed
            where listed.pos = any (recorded)
            order by listed.org_id collate "C", listed.event_key;
            perform lock_pools(array(
                select distinct listed.org_id from read_voids(p_voids) as listed where letters[listed.pos] in ('v', 'w')
            ));
            if voids_overtaken(p_voids, letters) then
                raise serialization_failure;
            end if;
            exit;
        exception when unique_violation or serialization_failure then
            null; -- Others have settled one of them, or what it names, meanwhile: now that is known.
        end;
    end loop;
    if coalesce(cardinality(recorded), 0) = 0 then
        perform wait_for_standbys();
    end if;

    for void in select * from read_voids(p_voids) as listed where listed.pos = any (recorded) order by listed.pos loop
        -- A void that came before the void it names takes nothing back.
        perform no_longer_pending(void.org_id, void.event_key);
        if not take_back(void.org_id, void.target_key, void.event_key) then
            with waiting as (
                insert into pending_voids (org_id, target_key, void_key)
                values (void.org_id, void.target_key, void.event_key)
                on conflict (org_id, target_key) do nothing
                returning org_id
            )
            update organization_credit_pools pool set pending_voids = pool.pending_voids + 1
            from waiting where pool.org_id = waiting.org_id;
        end if;
    end loop;
    -- What the batch repeats is in the ledger by now.
    return array_to_string(array(
        select coalesce(letters[listed.pos], compare_void(listed)) from read_voids(p_voids) as listed order by listed.pos
    ), '');
end
$$;
