-- The ledger added up, so that a summary of millions of entries reads thousands of rows.

-- Spans in UTC; weeks begin on Monday.
create type usage_span as enum ('hour', 'day', 'week');

-- The keys of ledger rows that the sums do not hold yet: one row for each transaction that wrote to the ledger, in the
-- same transaction. Sums and queue together are the ledger at any moment.
create table usage_rollup_queue (
    queued_at  timestamptz not null default now(),
    -- Organizations, ascending; the keys of the n-th end at the n-th of ends.
    org_ids    varchar[] collate "C" not null,
    ends       integer[] not null,
    event_keys uuid[] not null,
    -- Of each key; null: all are 0.
    entries    smallint[]
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_analyze_threshold = 1000000000);

-- Keys do not compress, and trying costs more than writing them.
alter table usage_rollup_queue
    alter column org_ids set storage external, alter column ends set storage external,
    alter column event_keys set storage external, alter column entries set storage external;

-- How far the sums are: an organization with few entries has none, since adding up its ledger is as fast.
create table rolled_up_organizations (
    org_id      varchar(36) collate "C" primary key references organizations on delete cascade,
    -- About how many entries it has; decides nothing but when summing begins.
    entries     bigint not null,
    -- Whether the sums hold all of its entries but those in the queue.
    is_complete boolean not null default false
);

-- One row. Transactions that began before this migration may write to the ledger without queueing; summing begins when
-- they have ended.
create table usage_rollup_state (
    singleton boolean primary key default true check (singleton),
    -- Their virtual transactions; null: not asked yet; empty: they have ended, and rolled_up_organizations counts all.
    waits_for text[]
);

insert into usage_rollup_state default values;

-- "Usage of everyone by outcome, by service and over time", and "in which minutes is there something like this?".
-- credits are signed sums over all entries; quantity and api_cost (USD) of entries 0, which are the events.
create table usage_by_service (
    org_id       varchar(36) collate "C" not null,
    span         usage_span not null,
    starts_at    timestamptz not null,
    service_type varchar(100) collate "C" not null,
    service_name varchar(200) collate "C",
    outcome      usage_outcome not null,
    -- Bits: the minutes of the hour, hours of the day or days of the week in which its entries lie.
    parts        bigint not null,
    entries      bigint not null,
    events       bigint not null,
    quantity     numeric(38, 6) not null,
    credits      numeric(38, 6) not null,
    api_cost     numeric(38, 6) not null,
    unique nulls not distinct (org_id, span, starts_at, service_type, service_name, outcome)
) with (fillfactor = 80);

-- "Who used most, and when?". credits: charged and overage.
create table usage_by_user (
    org_id           varchar(36) collate "C" not null,
    span             usage_span not null,
    starts_at        timestamptz not null,
    user_id          varchar(255) collate "C" not null,
    entries          bigint not null,
    events           bigint not null,
    credits          numeric(38, 6) not null,
    unfunded_credits numeric(38, 6) not null,
    primary key (org_id, span, starts_at, user_id)
) with (fillfactor = 80);

-- "Usage of one user", by days.
create table usage_of_user (
    org_id       varchar(36) collate "C" not null,
    user_id      varchar(255) collate "C" not null,
    starts_at    timestamptz not null,
    service_type varchar(100) collate "C" not null,
    service_name varchar(200) collate "C",
    outcome      usage_outcome not null,
    entries      bigint not null,
    events       bigint not null,
    quantity     numeric(38, 6) not null,
    credits      numeric(38, 6) not null,
    api_cost     numeric(38, 6) not null,
    unique nulls not distinct (org_id, user_id, starts_at, service_type, service_name, outcome)
) with (fillfactor = 80);
