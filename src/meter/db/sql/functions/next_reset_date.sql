-- When an allocation that begins a period now is to be reset: the start of the next day, week (Monday) or month in UTC;
-- null for never.
create or replace function next_reset_date(p_reset_period text, p_now timestamptz) returns timestamptz
language sql stable
set search_path = public, pg_temp
as $$
    select case p_reset_period
        when 'daily' then (date_trunc('day', p_now at time zone 'UTC') + interval '1 day') at time zone 'UTC'
        when 'weekly' then (date_trunc('week', p_now at time zone 'UTC') + interval '1 week') at time zone 'UTC'
        when 'monthly' then (date_trunc('month', p_now at time zone 'UTC') + interval '1 month') at time zone 'UTC'
    end
$$;
