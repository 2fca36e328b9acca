-- Adds credits to the pool of an organization and settles what was unfunded (at most 1,000 events; workers go on).
--
-- p_org_id: the organization. p_credits: more than 0. p_purchase_amount: what was paid, in p_currency, at least 0.
-- p_event_type: purchase, renewal, bonus or refund. p_actor: who did it. p_request_id, p_metadata: kept in the history.
-- p_idempotency_key: a repeated key returns the first result and changes nothing.
-- Returns: the pool's total and available credits, and how many unfunded events were settled.
-- Locks: the pool. Raises: MT003 unknown organization; MT004 key used with other arguments; MT005 closed; MT006 an
--     argument outside the contract.
create or replace function add_credits_to_pool(
    p_org_id varchar, p_credits numeric, p_purchase_amount numeric default 0, p_currency char(3) default 'USD',
    p_event_type text default 'purchase', p_actor varchar default session_user, p_request_id varchar default null,
    p_metadata jsonb default '{}', p_idempotency_key varchar default null
)
returns table (total_credits numeric, available_credits numeric, funded_events integer)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
    arguments constant jsonb := jsonb_build_object('credits', p_credits, 'purchase_amount', p_purchase_amount,
        'currency', p_currency, 'event_type', p_event_type, 'metadata', p_metadata);
    result jsonb;
    funded integer;
begin
    if check_credits('credits', p_credits) = 0 then
        raise exception 'credits must be more than 0' using errcode = 'MT006';
    end if;
    perform check_credits('purchase_amount', p_purchase_amount);
    if p_event_type is null or p_event_type not in ('purchase', 'renewal', 'bonus', 'refund') then
        raise exception 'the reason must be purchase, renewal, bonus or refund' using errcode = 'MT006';
    end if;

    perform lock_open_organization(p_org_id);
    result := recall_result(p_org_id, 'add_credits_to_pool', p_idempotency_key, arguments);
    if result is null then
        update organization_credit_pools pool
        set total_credits = pool.total_credits + p_credits,
            lifetime_purchased_credits = pool.lifetime_purchased_credits
                + case when p_event_type in ('purchase', 'renewal') then p_credits else 0 end,
            lifetime_spent_amount = pool.lifetime_spent_amount + p_purchase_amount,
            updated_at = now()
        where pool.org_id = p_org_id;
        insert into org_billing_history (
            org_id, event_type, balance, credits, amount, currency, payment_status, actor, request_id, metadata
        )
        values (p_org_id, 'credits_' || p_event_type, 'total', p_credits, nullif(p_purchase_amount, 0),
                case when p_purchase_amount > 0 then p_currency end, case when p_purchase_amount > 0 then 'paid' end,
                p_actor, p_request_id, coalesce(p_metadata, '{}'));
        funded := request_funding(p_org_id);
        select remember_result(p_org_id, 'add_credits_to_pool', p_idempotency_key, arguments, jsonb_build_object(
            'total', pool.total_credits, 'available', pool.available_credits, 'funded', funded))
        into result
        from organization_credit_pools pool where pool.org_id = p_org_id;
    end if;
    return query select (result ->> 'total')::numeric, (result ->> 'available')::numeric, (result ->> 'funded')::integer;
end
$$;
