-- A moment after which an organization has no entry like this until another: where looking for older ones may begin.
--
-- p_service_type, p_outcome: what an entry is like; null: anything. p_before: the other moment.
-- Returns: p_before where the sums cannot tell; -infinity where there is no such entry at all.
create or replace function latest_usage_like(
    p_org_id varchar, p_service_type varchar, p_outcome usage_outcome, p_before timestamptz
) returns timestamptz
language plpgsql stable security definer
set search_path = public, pg_temp
as $$
declare
    -- Looking up more of them takes longer than looking for what is wanted.
    queue_limit constant integer := 1000;
    queued_keys uuid[];
    latest_day timestamptz;
    latest_minute timestamptz;
    latest_queued timestamptz;
begin
    -- The sums hold no voids.
    if p_outcome = 'void' or p_service_type = 'void'
       or not exists (select from rolled_up_organizations where org_id = p_org_id and is_complete) then
        return p_before;
    end if;
    queued_keys := array(select key from queued_usage(p_org_id) limit queue_limit);
    if cardinality(queued_keys) = queue_limit then
        return p_before;
    end if;
    select max(occurred_at) into latest_queued
    from credit_usage_attribution
    where org_id = p_org_id and event_key = any (queued_keys) and occurred_at <= p_before
      and (p_service_type is null or service_type = p_service_type) and (p_outcome is null or outcome = p_outcome);

    select starts_at + part * interval '1 day' into latest_day
    from usage_by_service cross join generate_series(0, 6) as part
    where org_id = p_org_id and span = 'week' and starts_at <= p_before
      and (p_service_type is null or service_type = p_service_type) and (p_outcome is null or outcome = p_outcome)
      and (parts >> part) & 1 = 1 and starts_at + part * interval '1 day' <= p_before
    order by starts_at desc, part desc
    limit 1;
    select starts_at + part * interval '1 minute' into latest_minute
    from usage_by_service cross join generate_series(0, 59) as part
    where org_id = p_org_id and span = 'hour' and starts_at >= latest_day and starts_at < latest_day + interval '1 day'
      and (p_service_type is null or service_type = p_service_type) and (p_outcome is null or outcome = p_outcome)
      and (parts >> part) & 1 = 1 and starts_at + part * interval '1 minute' <= p_before
    order by starts_at desc, part desc
    limit 1;
    return least(p_before, greatest(
        coalesce(latest_minute + interval '1 minute', latest_day, '-infinity'),
        latest_queued + interval '1 microsecond'
    ));
end
$$;
