-- Takes one event back by hand: settle_voids of one, under an identity of its own for each event, so that a repeated call
-- returns the first result and changes nothing. Then settles unfunded events (at most 1,000; workers go on).
--
-- p_org_id, p_event_id, p_source: the event, as it was published; the source may be null where the id is a UUIDv7.
-- p_reason: why. p_actor: who does it; both are kept with the void.
-- Returns: the event's key; what the void did: taken_back (with the outcome and the credits that it reversed), waiting
--     (there is no such event yet) or nothing (it was taken back before by another void); whether an earlier call did it;
--     and how many unfunded events were settled.
-- Locks: as settle_voids.
-- Raises: MT003 unknown organization; MT004 it was taken back by hand for another reason; MT006 an argument outside the
--     contract, or the event is a void itself.
create or replace function void_usage(
    p_org_id varchar, p_event_id varchar, p_source varchar, p_reason varchar, p_actor varchar default session_user
)
returns table (event_key uuid, result text, outcome text, credits numeric, repeated boolean, funded_events integer)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
    own_source constant text := 'meter void';
    wrong constant text := case
        when coalesce(length(p_event_id), 0) not between 1 and 128 then 'event must have 1 to 128 characters'
        when length(p_source) not between 1 and 128 then 'source must have 1 to 128 characters'
        when coalesce(length(p_reason), 0) not between 1 and 255 then 'reason must have 1 to 255 characters'
        when p_source is null and usage_event_key('', p_event_id)::text <> p_event_id
            then 'this id is no UUIDv7, and counts together with its source: say which'
    end;
    target uuid;
    void_id text;
    letter text;
    reversed record;
    funded integer := 0;
begin
    if wrong is not null then
        raise exception '%', wrong using errcode = 'MT006';
    end if;
    target := usage_event_key(coalesce(p_source, ''), p_event_id);
    void_id := 'void of ' || target;
    letter := settle_voids(json_build_array(json_build_object(
        'org_id', p_org_id, 'event_key', usage_event_key(own_source, void_id), 'event_id', void_id, 'source', own_source,
        'target_key', target, 'folded', array['target_source', 'actor'],
        'metadata', json_build_object('target_source', p_source, 'target_id', p_event_id, 'reason', p_reason, 'actor', p_actor)
    )));
    case letter
        when 'u' then
            raise exception 'organization "%" is not known', p_org_id using errcode = 'MT003';
        when 'x' then
            raise exception 'this event was taken back before, for another reason' using errcode = 'MT004';
        when 'w' then
            raise exception 'this is a void, which cannot be taken back' using errcode = 'MT006',
                hint = 'Publish the usage anew, under a new id.';
        else null;
    end case;
    if letter = 'v' then
        funded := fund_open_usage(p_org_id);
    end if;
    select entry.outcome::text as outcome, -entry.credits_used as credits into reversed
    from credit_usage_attribution entry
    where entry.org_id = p_org_id and entry.event_key = target and entry.entry > 0
      and entry.counterpart_key = usage_event_key(own_source, void_id);
    return query select target,
        case when reversed.outcome is not null then 'taken_back'
             when exists (select from pending_voids waiting where waiting.org_id = p_org_id and waiting.target_key = target)
             then 'waiting' else 'nothing' end,
        reversed.outcome, reversed.credits, letter = 'd', funded;
end
$$;
