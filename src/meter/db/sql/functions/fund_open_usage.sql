-- Settles unfunded events of an organization now that credits may be there, in the order in which they were recorded;
-- one that does not fit is passed over. Goes on where the last call stopped.
--
-- p_org_id: the organization. p_limit: how many events to examine at most.
-- Returns: how many events were funded.
-- Locks: the pool of the organization, then ledger rows and allocations under it.
-- Raises: MT003 when the organization is unknown.
create or replace function fund_open_usage(p_org_id varchar, p_limit integer default 1000) returns integer
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
    first_no bigint;
    last_no bigint;
    examined integer;
    waiting settling_event[];
    funded settled_event[];
begin
    select funding_cursor into first_no from organization_credit_pools where org_id = p_org_id for no key update;
    if not found then
        raise exception 'organization "%" is not known', p_org_id using errcode = 'MT003';
    end if;
    if first_no is null then
        return 0;
    end if;

    select count(*), max(open.open_no),
           array_agg(row(open.open_no, p_org_id, open.event_key, usage.user_id, usage.credits_used, true, false, null,
                         null, null, null, null)::settling_event)
    into examined, last_no, waiting
    from (
        select open_no, event_key from open_usage_events
        where org_id = p_org_id and outcome = 'unfunded' and open_no > first_no
        order by open_no
        limit p_limit
    ) as open
    join credit_usage_attribution usage
      on usage.org_id = p_org_id and usage.event_key = open.event_key and usage.entry = 0;

    select array_agg(event) into funded
    from unnest(settle_in_order(coalesce(waiting, '{}'))) as event where event.outcome <> 'unfunded';
    if funded is not null then
        perform record_funding(funded);
    end if;

    update organization_credit_pools
    set funding_cursor = case when examined = p_limit then last_no end
    where org_id = p_org_id;
    return coalesce(cardinality(funded), 0);
end
$$;
