-- Refuses an amount of credits that the contract does not allow.
--
-- p_name: what to call it in the message. p_credits: at least 0, at most 14 integer digits and six decimal places.
-- Returns: the amount. Raises: MT006.
create or replace function check_credits(p_name text, p_credits numeric) returns numeric
language plpgsql immutable
set search_path = public, pg_temp
as $$
begin
    if p_credits is null or p_credits = 'NaN' or p_credits < 0 or p_credits >= 1e14 or p_credits <> round(p_credits, 6) then
        raise exception '% must be from 0 to 99999999999999.999999 with at most six decimal places', p_name
            using errcode = 'MT006';
    end if;
    return p_credits;
end
$$;
