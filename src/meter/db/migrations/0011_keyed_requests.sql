-- Writes over HTTP that happen once however often they are asked for, and payments that count once.

-- The answer to each write that came with an Idempotency-Key, written by the transaction that it answers.
-- Kept for two days; removed by later writes (keep_answer).
create table request_answers (
    org_id      varchar(36) collate "C" not null references organizations on delete cascade,
    -- Who asked: the user id, or key: and the id of the API key.
    caller      varchar(255) collate "C" not null,
    route       varchar(100) collate "C" not null,
    key         varchar(128) collate "C" not null,
    -- Of the request's body, by value.
    body_sha256 bytea not null,
    status      smallint not null,
    body        bytea not null,
    created_at  timestamptz not null default now(),
    primary key (org_id, caller, route, key)
);

-- "Which answers are old?", asked by every write with a key.
create index request_answers_age on request_answers (created_at);

-- Payments that credits were added for; each counts once in its organization.
create table payment_references (
    org_id            varchar(36) collate "C" not null references organizations on delete cascade,
    payment_reference varchar(255) collate "C" not null,
    created_at        timestamptz not null default now(),
    primary key (org_id, payment_reference)
);

-- Replaced by one that takes folded fields as well.
drop function if exists deduct_credits(
    varchar, varchar, numeric, varchar, varchar, varchar, jsonb, varchar, varchar, timestamptz
);
