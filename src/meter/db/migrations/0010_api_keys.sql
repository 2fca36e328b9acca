-- Keys with which services call the API.

create table api_keys (
    key_id            uuid primary key default gen_random_uuid(),
    -- Null: all organizations.
    org_id            varchar(36) collate "C" references organizations on delete cascade,
    name              varchar(100) not null check (name <> ''),
    -- How the key begins, so that people can tell which one they hold; no part of the secret.
    prefix            varchar(16) not null unique,
    -- SHA-256 of the whole key. A key is 256 random bits: nothing slower is needed against guessing.
    key_sha256        bytea not null unique check (octet_length(key_sha256) = 32),
    scopes            text[] not null check (scopes <@ array['deduct', 'check', 'read'] and cardinality(scopes) > 0),
    -- Null: as any other caller.
    reads_per_minute  integer check (reads_per_minute > 0),
    writes_per_minute integer check (writes_per_minute > 0),
    created_at        timestamptz not null default now(),
    created_by        varchar(255) not null,
    -- Null: never.
    expires_at        timestamptz,
    revoked_at        timestamptz,
    revoked_by        varchar(255),
    -- To the minute, about.
    last_used_at      timestamptz
);

-- The purge of an organization, which takes its keys along.
create index api_keys_organization on api_keys (org_id);
