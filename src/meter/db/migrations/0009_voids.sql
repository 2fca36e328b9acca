-- Events that are taken back.

-- Of a void's entry 0 the event it takes back; of the entry that takes an event back, the void. Null: neither.
alter table credit_usage_attribution add column counterpart_key uuid;
-- A void is nobody's usage.
alter table credit_usage_attribution alter column user_id drop not null;

-- Voids that came before their events. The first of several for one event waits here; the others have nothing to do.
create table pending_voids (
    org_id     varchar(36) collate "C" not null references organizations on delete cascade,
    target_key uuid not null,
    void_key   uuid not null,
    created_at timestamptz not null default now(),
    primary key (org_id, target_key)
);

-- How many wait, so that settlement, which locks the pool anyway, need not look where there are none.
alter table organization_credit_pools add column pending_voids integer not null default 0;

-- A void as settlement takes it. Not stored anywhere.
create type usage_void as (
    org_id      varchar,
    event_key   uuid,
    -- Null where the id is the key.
    event_id    varchar,
    source      varchar,
    -- The event that is taken back.
    target_key  uuid,
    -- Which event it names, and why; and unknown fields.
    metadata    jsonb,
    -- Names in the metadata that decide no conflict.
    folded      text[],
    -- Null: now, and it decides no conflict.
    occurred_at timestamptz,
    -- Its place in the batch, from 1.
    pos         bigint
);

-- Replaced by one that returns something.
drop function if exists lock_pools(varchar[]);
