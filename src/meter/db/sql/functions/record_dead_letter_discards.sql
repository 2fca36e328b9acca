-- Writes down who throws away which dead letters and why; call it before the broker is told to forget them.
--
-- p_actor: who. p_why: the reason given. The arrays are parallel, one element a letter; what a letter does not say is
-- null. p_body_sha256: of the exact bytes.
-- Returns: how many were written down. Raises: MT006 where nobody or no reason is named.
create or replace function record_dead_letter_discards(
    p_actor varchar, p_why text, p_reasons text[], p_org_ids varchar[], p_event_ids text[],
    p_first_seen timestamptz[], p_body_sha256 bytea[], p_body_bytes integer[]
) returns bigint
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
    written bigint;
begin
    if coalesce(btrim(p_actor), '') = '' or coalesce(btrim(p_why), '') = '' then
        raise exception 'who discards a dead letter and why must be said' using errcode = 'MT006';
    end if;
    insert into dead_letter_discards
        (discarded_by, why, reason, org_id, event_id, first_seen, body_sha256, body_bytes)
    select p_actor, p_why, letter.reason, letter.org_id, letter.event_id, letter.first_seen, letter.body_sha256,
           letter.body_bytes
    from unnest(p_reasons, p_org_ids, p_event_ids, p_first_seen, p_body_sha256, p_body_bytes)
        as letter (reason, org_id, event_id, first_seen, body_sha256, body_bytes);
    get diagnostics written = row_count;
    return written;
end
$$;
