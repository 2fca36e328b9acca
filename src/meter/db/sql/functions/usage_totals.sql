-- What a batch asks of each account.
--
-- account_count: how many accounts there are. accounts, credits: of each event. fresh: which events count; null: all.
-- Returns: for each account the sum of its events' credits and the least of them that is not 0, null without events; and how
-- many events it has.
create or replace function usage_totals(
    account_count integer, accounts integer[], credits numeric[], fresh boolean[],
    out totals numeric[], out least_credits numeric[], out event_counts integer[]
)
language plpgsql immutable
set search_path = public, pg_temp
as $$
begin
    if fresh is null then
        select array_agg(total order by account), array_agg(least_one order by account), array_agg(events order by account)
        into totals, least_credits, event_counts
        from (
            select account, coalesce(sum(credit), 0) as total, min(nullif(credit, 0)) as least_one,
                   count(*)::integer as events
            from unnest(accounts, credits) as event (account, credit)
            group by account
        ) as sums;
    else
        -- The first part has every account, so that the place in the array is the account's number.
        select array_agg(total order by account), array_agg(least_one order by account), array_agg(events order by account)
        into totals, least_credits, event_counts
        from (
            select account, sum(credit) as total, min(nullif(credit, 0)) as least_one, count(credit)::integer as events
            from (
                select account, null as credit from generate_series(1, account_count) as account
                union all
                select account, coalesce(credit, 0)
                from unnest(accounts, credits, fresh) as event (account, credit, is_fresh)
                where is_fresh
            ) as asked
            group by account
        ) as sums;
    end if;
end
$$;
