-- A UUIDv7 of this moment (RFC 9562), for a charge made without an id of its own. PostgreSQL has its own from 18 on.
create or replace function new_event_key() returns uuid
language sql volatile
set search_path = public, pg_temp
as $$
    select encode(
        set_byte(set_byte(
            overlay(uuid_send(gen_random_uuid())
                    placing substr(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint), 3) from 1 for 6),
            6, (get_byte(uuid_send(gen_random_uuid()), 0) & 15) | 112),
            8, (get_byte(uuid_send(gen_random_uuid()), 0) & 63) | 128),
        'hex')::uuid
$$;
