-- Messages that cannot be settled: what may be killing workers, and what people threw away.

-- Messages delivered so often that a worker handles them alone; only while one does, and as long as none could. A row
-- says who began, so that the next worker can tell whether that one died over it.
create table suspect_messages (
    -- SHA-256 of the content type and the body.
    digest         bytea primary key check (octet_length(digest) = 32),
    -- How many workers died or hung that handled nothing else.
    deaths         integer not null default 0,
    -- The process that handles it; it holds an advisory lock under this number while it lives.
    holder         bigint not null,
    -- When the server started that took the note: a later one knows nothing of the locks there were.
    server_started timestamptz not null,
    first_seen     timestamptz not null default now()
);

-- Who threw away which dead letter, when and why. Written before the broker forgets the letter, never changed.
create table dead_letter_discards (
    discard_id   bigint generated always as identity primary key,
    discarded_at timestamptz not null default clock_timestamp(),
    discarded_by varchar(255) not null,
    why          text not null check (why <> ''),
    -- As the dead letter said, where it did. The organization need not exist: that can be why the letter died.
    reason       text,
    org_id       varchar(36) collate "C",
    event_id     text,
    first_seen   timestamptz,
    body_sha256  bytea not null check (octet_length(body_sha256) = 32),
    body_bytes   integer not null
);
