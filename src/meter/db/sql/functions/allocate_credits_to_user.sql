-- Sets the limit of a user within the pool; below what is used too. Settles what was unfunded for want of it (at most
-- 1,000 events; workers go on).
--
-- p_org_id, p_user_id: whose. p_credits: the new limit, at least 0. p_allocated_by: who decided.
-- p_reset_period: daily, weekly, monthly or never; null keeps what is set. p_is_active: false takes the limit's holder
-- out; the row stays. p_notes: null keeps what is set. p_idempotency_key: a repeated key returns the first result.
-- Returns: the allocation's id, its limit, what is used and what remains of it in its current period, and how many
--     unfunded events were settled.
-- Locks: the pool, then the allocation. Raises: MT003 unknown organization; MT004 key used with other arguments; MT005
--     closed; MT006 an argument outside the contract; MT009 the active allocations would promise more than is available;
--     its detail is a JSON object: available, what is promised to nobody else, and largest, the highest limit that fits.
create or replace function allocate_credits_to_user(
    p_org_id varchar, p_user_id varchar, p_credits numeric, p_allocated_by varchar default session_user,
    p_reset_period text default null, p_is_active boolean default true, p_notes text default null,
    p_request_id varchar default null, p_idempotency_key varchar default null
)
returns table (
    allocation_id bigint, allocated_credits numeric, used_credits numeric, remaining_credits numeric, funded_events integer
)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
    arguments constant jsonb := jsonb_build_object('user_id', p_user_id, 'credits', p_credits,
        'reset_period', p_reset_period, 'is_active', p_is_active, 'notes', p_notes);
    pool organization_credit_pools;
    promised_before numeric;
    promised_now numeric;
    allocated_now numeric;
    unpromised numeric;
    most numeric;
    result jsonb;
    funded integer;
begin
    perform check_credits('credits', p_credits);
    if coalesce(length(p_user_id), 0) not between 1 and 255 then
        raise exception 'user_id must have 1 to 255 characters' using errcode = 'MT006';
    end if;
    if p_reset_period not in ('daily', 'weekly', 'monthly', 'never') then
        raise exception 'reset_period must be daily, weekly, monthly or never' using errcode = 'MT006';
    end if;

    pool := lock_open_organization(p_org_id);
    result := recall_result(p_org_id, 'allocate_credits_to_user', p_idempotency_key, arguments);
    if result is null then
        select coalesce(sum(remaining_credits), 0) into promised_before
        from user_credit_allocations where org_id = p_org_id and is_active;

        insert into user_credit_allocations as allocation (
            org_id, user_id, allocated_credits, reset_period, next_reset_date, is_active, allocated_by, notes
        )
        values (p_org_id, p_user_id, p_credits, coalesce(p_reset_period, 'never'),
                next_reset_date(coalesce(p_reset_period, 'never'), now()), coalesce(p_is_active, true),
                p_allocated_by, p_notes)
        on conflict (org_id, user_id) do update
        set allocated_credits = excluded.allocated_credits,
            is_active = excluded.is_active,
            reset_period = coalesce(p_reset_period, allocation.reset_period),
            next_reset_date = case
                when p_reset_period is null or p_reset_period = allocation.reset_period then allocation.next_reset_date
                else excluded.next_reset_date end,
            allocated_by = excluded.allocated_by,
            notes = coalesce(excluded.notes, allocation.notes),
            updated_at = now();

        select coalesce(sum(remaining_credits), 0), coalesce(sum(allocated_credits), 0)
        into promised_now, allocated_now
        from user_credit_allocations where org_id = p_org_id and is_active;
        if promised_now > promised_before and promised_now > greatest(pool.available_credits, 0) then
            select greatest(greatest(pool.available_credits, 0) - promised_now + remaining_credits, 0),
                   greatest(greatest(pool.available_credits, 0) - promised_now + p_credits, 0)
            into unpromised, most
            from user_credit_allocations where org_id = p_org_id and user_id = p_user_id;
            raise exception 'the active allocations would promise % credits, but the pool has % available',
                promised_now, greatest(pool.available_credits, 0)
                using errcode = 'MT009',
                      hint = format('At most %s can be allocated now.', most),
                      detail = json_build_object('largest', most::text, 'available', unpromised::text);
        end if;

        if allocated_now <> pool.allocated_credits then
            update organization_credit_pools set allocated_credits = allocated_now, updated_at = now()
            where org_id = p_org_id;
        end if;
        insert into org_billing_history (org_id, event_type, balance, credits, user_id, actor, request_id, metadata)
        values (p_org_id, 'allocation_set', 'allocated', allocated_now - pool.allocated_credits, p_user_id,
                p_allocated_by, p_request_id, arguments - 'user_id');

        funded := request_funding(p_org_id);
        select remember_result(p_org_id, 'allocate_credits_to_user', p_idempotency_key, arguments, jsonb_build_object(
            'id', allocation.id, 'allocated', allocation.allocated_credits, 'used', allocation.used_credits,
            'remaining', allocation.remaining_credits, 'funded', funded))
        into result
        from user_credit_allocations allocation where allocation.org_id = p_org_id and allocation.user_id = p_user_id;
    end if;
    return query select (result ->> 'id')::bigint, (result ->> 'allocated')::numeric, (result ->> 'used')::numeric,
                        (result ->> 'remaining')::numeric, (result ->> 'funded')::integer;
end
$$;
