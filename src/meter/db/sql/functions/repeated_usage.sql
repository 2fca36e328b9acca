-- Which events of a batch come after one with the same key that can be written.
--
-- usage: the batch. latest: an event that occurred after this is refused.
-- Returns: for each event whether it is a repetition; null where no two neighbours have the same key: none is.
create or replace function repeated_usage(usage usage_columns, latest timestamptz) returns boolean[]
language plpgsql immutable
set search_path = public, pg_temp
as $$
declare
    event_keys constant uuid[] := usage.event_keys;
    account_orgs constant integer[] := usage.account_orgs;
begin
    -- Events with the same key are neighbours. Two organizations seldom have the same.
    if not exists (
        select 1 from unnest(event_keys) with ordinality as event (event_key, no)
        where event.event_key = event_keys[event.no - 1]
    ) then
        return null;
    end if;
    return array(
        select coalesce(bool_or(event.refusal is null and (event.occurred_at is null or event.occurred_at <= latest)) over (
                   partition by account_orgs[event.account], event.event_key
                   order by event.no rows between unbounded preceding and 1 preceding
               ), false)
        from unnest(usage.accounts, event_keys, usage.occurred_at, usage.refusals) with ordinality
             as event (account, event_key, occurred_at, refusal, no)
        order by event.no
    );
end
$$;
