-- Raises the error of a charge that cannot be taken: MT005, MT002 or MT001, by its reason.
create or replace function raise_unfunded(
    p_org_id varchar, p_user_id varchar, p_credits numeric, p_reason unfunded_reason
)
returns void
language plpgsql stable
set search_path = public, pg_temp
as $$
begin
    case p_reason
        when 'organization_closed' then
            raise exception 'organization "%" is closed', p_org_id using errcode = 'MT005';
        when 'no_allocation' then
            raise exception 'user "%" has no active allocation in organization "%"', p_user_id, p_org_id
                using errcode = 'MT002', hint = format('Give one with: meter allocations set %s %s CREDITS', p_org_id, p_user_id);
        when 'allocation_exhausted' then
            raise exception 'the allocation of user "%" in organization "%" has fewer than % credits left',
                p_user_id, p_org_id, p_credits using errcode = 'MT001', detail = 'allocation_exhausted';
        else
            raise exception 'the pool of organization "%" has fewer than % credits left', p_org_id, p_credits
                using errcode = 'MT001', detail = 'pool_exhausted';
    end case;
end
$$;
