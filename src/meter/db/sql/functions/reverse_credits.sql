-- Takes credits out of the pool of an organization that were added by mistake.
--
-- p_org_id: the organization. p_credits: more than 0. p_purchase_amount: what of the money is taken back, in p_currency.
-- p_event_type: what they were added as: purchase, renewal, bonus or refund. p_actor: who does it.
-- p_request_id, p_metadata: kept in the history.
-- Returns: the pool's total and available credits.
-- Locks: the pool.
-- Raises: MT003 unknown organization; MT005 closed; MT006 an argument outside the contract; MT024 more than is unused, or
--     than was ever bought or paid; its detail is a JSON object with the largest credits and purchase_amount.
create or replace function reverse_credits(
    p_org_id varchar, p_credits numeric, p_purchase_amount numeric default 0, p_currency char(3) default 'USD',
    p_event_type text default 'purchase', p_actor varchar default session_user, p_request_id varchar default null,
    p_metadata jsonb default '{}'
)
returns table (total_credits numeric, available_credits numeric)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
    bought constant boolean := p_event_type in ('purchase', 'renewal');
    pool organization_credit_pools;
    most_credits numeric;
begin
    if check_credits('credits', p_credits) = 0 then
        raise exception 'credits must be more than 0' using errcode = 'MT006';
    end if;
    perform check_credits('purchase_amount', p_purchase_amount);
    if p_event_type is null or p_event_type not in ('purchase', 'renewal', 'bonus', 'refund') then
        raise exception 'the reason must be purchase, renewal, bonus or refund' using errcode = 'MT006';
    end if;

    pool := lock_open_organization(p_org_id);
    most_credits := greatest(
        case when bought then least(pool.available_credits, pool.lifetime_purchased_credits) else pool.available_credits end, 0
    );
    if p_credits > most_credits or p_purchase_amount > pool.lifetime_spent_amount then
        raise exception 'at most % credits and % of the money can be taken back', most_credits, pool.lifetime_spent_amount
            using errcode = 'MT024', detail = json_build_object(
                'credits', most_credits::text, 'purchase_amount', pool.lifetime_spent_amount::text);
    end if;
    insert into org_billing_history (
        org_id, event_type, balance, credits, amount, currency, payment_status, actor, request_id, metadata
    )
    values (p_org_id, 'credits_reversed', 'total', -p_credits, -nullif(p_purchase_amount, 0),
            case when p_purchase_amount > 0 then p_currency end, case when p_purchase_amount > 0 then 'refunded' end,
            p_actor, p_request_id, coalesce(p_metadata, '{}') || jsonb_build_object('reversed', 'credits_' || p_event_type));
    return query
        update organization_credit_pools
        set total_credits = total_credits - p_credits,
            lifetime_purchased_credits = lifetime_purchased_credits - case when bought then p_credits else 0 end,
            lifetime_spent_amount = lifetime_spent_amount - p_purchase_amount,
            updated_at = now()
        where org_id = p_org_id
        returning total_credits, available_credits;
end
$$;
