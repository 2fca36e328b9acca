-- Takes a payment reference, which counts once in an organization.
--
-- p_org_id: the organization; the caller holds its pool. p_payment_reference: 1 to 255 characters.
-- Raises: MT006 an argument outside the contract; MT023 the reference came before.
create or replace function claim_payment_reference(p_org_id varchar, p_payment_reference varchar) returns void
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
begin
    if coalesce(length(p_payment_reference), 0) not between 1 and 255 then
        raise exception 'payment_reference must have 1 to 255 characters' using errcode = 'MT006';
    end if;
    insert into payment_references (org_id, payment_reference) values (p_org_id, p_payment_reference)
    on conflict do nothing;
    if not found then
        raise exception 'credits were added for this payment before' using errcode = 'MT023',
            hint = 'Look for its reference in the billing history.';
    end if;
end
$$;
