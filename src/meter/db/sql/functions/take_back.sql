-- Takes one event back (DESIGN, "What a charge means", step 7): an entry that reverses what is outstanding of it, the
-- balances, and the work table. Where credits come free by it, the organization is marked, and workers look for unfunded
-- events that fit now. An event that was taken back before, and a void, stay as they are.
--
-- p_org_id, p_target_key: the event. p_void_key: the void.
-- Returns: whether the event is known at all.
-- Locks: a ledger row and an allocation; the caller holds the pool.
create or replace function take_back(p_org_id varchar, p_target_key uuid, p_void_key uuid) returns boolean
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
    present credit_usage_attribution;
    charged numeric := 0;
    overage numeric := 0;
    unfunded numeric := 0;
    -- What was billed and is not owed any more.
    credited numeric;
begin
    select * into present
    from credit_usage_attribution usage
    where usage.org_id = p_org_id and usage.event_key = p_target_key
    order by usage.entry desc
    limit 1;
    if present.event_key is null then
        return false;
    elsif present.outcome = 'void' or present.counterpart_key is not null then
        return true;
    end if;
    case present.outcome
        when 'charged' then charged := present.credits_used;
        when 'overage' then overage := present.credits_used;
        when 'unfunded' then unfunded := present.credits_used;
        else null;
    end case;

    update user_credit_allocations allocation
    set used_credits = allocation.used_credits - charged - overage, updated_at = now()
    where allocation.org_id = p_org_id and allocation.user_id = present.user_id and allocation.id = present.allocation_id
      and allocation.period_no = present.period_no and charged + overage > 0;
    delete from open_usage_events where org_id = p_org_id and event_key = p_target_key;
    select greatest(pool.overage_billed_credits - (pool.overage_credits - overage), 0) into credited
    from organization_credit_pools pool where pool.org_id = p_org_id;
    update organization_credit_pools pool
    set used_credits = pool.used_credits - charged,
        overage_credits = pool.overage_credits - overage,
        overage_billed_credits = pool.overage_billed_credits - credited,
        unfunded_credits = pool.unfunded_credits - unfunded,
        funding_cursor = case when charged + overage > 0 and pool.unfunded_credits > 0 then 0
                              else pool.funding_cursor end,
        updated_at = now()
    where pool.org_id = p_org_id;
    if credited > 0 then
        insert into org_billing_history (org_id, event_type, balance, credits, user_id, actor, metadata)
        values (p_org_id, 'overage_voided', 'overage_billed', -credited, present.user_id, session_user,
                jsonb_build_object('event_key', p_target_key, 'void_key', p_void_key));
    end if;

    present.entry := present.entry + 1;
    present.credits_used := -present.credits_used;
    present.counterpart_key := p_void_key;
    present.created_at := now();
    insert into credit_usage_attribution select present.*;
    insert into usage_rollup_queue (org_ids, ends, event_keys, entries)
    values (array[p_org_id], array[1], array[p_target_key], array[present.entry]);
    return true;
end
$$;
