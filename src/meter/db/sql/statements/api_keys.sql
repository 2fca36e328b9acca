-- API keys: what operators do with them, as meter_admin, and what is asked of every one that comes, as meter_reader.

-- name: create_api_key
select create_api_key($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: revoke_api_key
select revoke_api_key($1, $2);

-- name: api_keys
-- $1 organization; null: all, and the keys for all of them.
select key_id, prefix, name, org_id, scopes, reads_per_minute, writes_per_minute, created_at, created_by, expires_at,
       revoked_at, last_used_at
from api_keys
where $1::varchar is null or org_id = $1
order by created_at, prefix;

-- name: good_api_key
-- $1 SHA-256 of the key. No row: unknown, expired or revoked.
select key_id, name, org_id, scopes, reads_per_minute, writes_per_minute,
       extract(epoch from expires_at - now())::float8 as expires_in_s,
       last_used_at is null or last_used_at <= now() - interval '1 minute' as use_is_to_be_noted
from api_keys
where key_sha256 = $1 and revoked_at is null and (expires_at is null or expires_at > now());

-- name: note_api_key_use
select note_api_key_use($1);
