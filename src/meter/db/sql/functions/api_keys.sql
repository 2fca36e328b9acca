-- Notes a new API key. The key itself never comes to the database, only its digest.
--
-- p_org_id: null for all organizations. p_key_sha256: of the whole key. p_expires_at: null for never. p_reads and
-- p_writes: what the key may do in a minute, null for as much as any other caller.
-- Returns: the key's id. Raises: MT003 no such organization; MT005 it is closed; MT006 an argument outside the contract.
create or replace function create_api_key(
    p_org_id varchar, p_name varchar, p_prefix varchar, p_key_sha256 bytea, p_scopes text[], p_expires_at timestamptz,
    p_reads integer, p_writes integer, p_actor varchar
)
returns uuid
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
    made uuid;
begin
    if coalesce(btrim(p_name), '') = '' or length(p_name) > 100 then
        raise exception 'a key needs a name of 1 to 100 characters' using errcode = 'MT006';
    end if;
    if p_expires_at <= now() then
        raise exception 'the key would have expired already' using errcode = 'MT006';
    end if;
    if p_org_id is not null then
        perform lock_open_organization(p_org_id);
    end if;
    insert into api_keys (org_id, name, prefix, key_sha256, scopes, expires_at, reads_per_minute, writes_per_minute,
                          created_by)
    values (p_org_id, p_name, p_prefix, p_key_sha256, p_scopes, p_expires_at, p_reads, p_writes, p_actor)
    returning key_id into made;
    return made;
end
$$;

-- Makes an API key worthless, for good.
--
-- p_prefix: how the key begins. Returns: whether it was good until now; null where no key begins so.
create or replace function revoke_api_key(p_prefix varchar, p_actor varchar)
returns boolean
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
begin
    update api_keys set revoked_at = now(), revoked_by = p_actor where prefix = p_prefix and revoked_at is null;
    if found then
        return true;
    end if;
    perform 1 from api_keys where prefix = p_prefix;
    return case when found then false end;
end
$$;

-- Notes that an API key was used, at most once a minute: all that a process of the read API may write.
--
-- Waits for nobody: where somebody else has the row, that one notes it or revokes the key.
create or replace function note_api_key_use(p_key_id uuid)
returns void
language sql volatile security definer
set search_path = public, pg_temp
as $$
    update api_keys set last_used_at = now()
    where key_id = (
        select key_id from api_keys
        where key_id = p_key_id and (last_used_at is null or last_used_at <= now() - interval '1 minute')
        for update skip locked
    )
$$;
