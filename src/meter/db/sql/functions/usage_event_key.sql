-- The identity of an event: a canonical lower-case UUIDv7 id is the key itself; any other id is keyed by a UUIDv5 over
-- the compact JSON array [source, id] in UTF-8. The same as meter.events.event_key.
--
-- p_source, p_id: as published.
-- Returns: the event key.
create or replace function usage_event_key(p_source text, p_id text) returns uuid
language plpgsql immutable strict
set search_path = public, pg_temp
as $$
declare
    namespace constant bytea := decode(replace('5d4f8235-758f-4ec5-8589-1998ef3da7c0', '-', ''), 'hex');
    digest bytea;
begin
    if p_id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' then
        return p_id::uuid;
    end if;
    digest := substr(sha1_digest(namespace || convert_to('[' || to_json(p_source) || ',' || to_json(p_id) || ']', 'UTF8')), 1, 16);
    digest := set_byte(digest, 6, (get_byte(digest, 6) & 15) | 80);
    digest := set_byte(digest, 8, (get_byte(digest, 8) & 63) | 128);
    return encode(digest, 'hex')::uuid;
end
$$;
