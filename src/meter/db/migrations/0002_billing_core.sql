-- The billing core: subscriptions, pools, allocations, the ledger, the history of every other change of a balance.
-- Every key of a table that grows with usage contains org_id, so that the schema can be distributed by organization.

create type usage_outcome as enum ('charged', 'overage', 'unfunded', 'unpriced', 'void');
create type unfunded_reason as enum ('organization_closed', 'no_allocation', 'allocation_exhausted', 'pool_exhausted');
create type provider_key_source as enum ('platform', 'byok');

create table organization_subscriptions (
    org_id                 varchar(36) collate "C" not null references organizations on delete cascade,
    id                     uuid not null default gen_random_uuid(),
    plan                   text not null check (plan in ('platform', 'byok', 'hybrid')),
    monthly_price          numeric(12, 2) not null check (monthly_price >= 0),
    billing_cycle          text not null default 'monthly' check (billing_cycle in ('monthly', 'yearly', 'custom')),
    status                 text not null default 'active'
                           check (status in ('active', 'trialing', 'past_due', 'canceled', 'paused')),
    lago_subscription_id   varchar(255),
    stripe_subscription_id varchar(255),
    trial_ends_at          timestamptz,
    current_period_start   timestamptz not null default now(),
    current_period_end     timestamptz,
    canceled_at            timestamptz,
    created_at             timestamptz not null default now(),
    updated_at             timestamptz not null default now(),
    primary key (org_id, id),
    check ((status = 'canceled') = (canceled_at is not null))
);

-- At most one live subscription an organization; also finds it.
create unique index organization_subscriptions_live on organization_subscriptions (org_id) where status <> 'canceled';

-- Balances are changed in place all the time: room on the page keeps their updates heap-only.
create table organization_credit_pools (
    org_id                     varchar(36) collate "C" primary key references organizations on delete cascade,
    total_credits              numeric(38, 6) not null default 0,
    used_credits               numeric(38, 6) not null default 0,
    available_credits          numeric(38, 6) generated always as (total_credits - used_credits) stored,
    overage_credits            numeric(38, 6) not null default 0,
    overage_billed_credits     numeric(38, 6) not null default 0,
    unfunded_credits           numeric(38, 6) not null default 0,
    allocated_credits          numeric(38, 6) not null default 0,
    monthly_refresh_amount     numeric(38, 6) not null default 0 check (monthly_refresh_amount >= 0),
    last_refresh_date          timestamptz,
    next_refresh_date          timestamptz,
    allow_overage              boolean not null default false,
    overage_limit              numeric(38, 6) not null default 0 check (overage_limit >= 0),
    -- USD a credit.
    overage_rate               numeric(20, 6) not null default 0.001 check (overage_rate >= 0),
    allocation_required        boolean not null default true,
    lifetime_purchased_credits numeric(38, 6) not null default 0,
    lifetime_spent_amount      numeric(38, 6) not null default 0,
    -- The last number given to an open (unfunded or unpriced) event, under the lock on this row.
    last_open_no               bigint not null default 0,
    -- Open events up to this number were examined since credits last came in; null: nothing waits for funding.
    funding_cursor             bigint,
    updated_at                 timestamptz not null default now()
) with (fillfactor = 50);

-- "Which organizations wait for funding?", asked by every worker once a second.
create index organization_credit_pools_funding on organization_credit_pools (org_id) where funding_cursor is not null;

create table user_credit_allocations (
    org_id            varchar(36) collate "C" not null references organizations on delete cascade,
    user_id           varchar(255) collate "C" not null,
    id                bigint generated always as identity,
    allocated_credits numeric(38, 6) not null default 0 check (allocated_credits >= 0),
    used_credits      numeric(38, 6) not null default 0,
    remaining_credits numeric(38, 6) generated always as (greatest(allocated_credits - used_credits, 0)) stored,
    period_no         integer not null default 1,
    reset_period      text not null default 'never' check (reset_period in ('daily', 'weekly', 'monthly', 'never')),
    last_reset_date   timestamptz,
    next_reset_date   timestamptz,
    is_active         boolean not null default true,
    allocated_by      varchar(255) not null,
    notes             text,
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now(),
    primary key (org_id, user_id),
    unique (org_id, id)
) with (fillfactor = 50);

-- "All allocations of a user", over organizations.
create index user_credit_allocations_user on user_credit_allocations (user_id, org_id);

-- The ledger. Entry 0 is the event with its first outcome, a later entry moves it; a committed row is never changed.
-- No foreign keys: each costs a fifth of the insert rate, and only the settlement functions can write here.
create table credit_usage_attribution (
    event_key        uuid not null,
    occurred_at      timestamptz not null,
    created_at       timestamptz not null default now(),
    allocation_id    bigint,
    period_no        integer,
    outcome          usage_outcome not null,
    reason           unfunded_reason,
    key_source       provider_key_source not null,
    entry            smallint not null,
    -- Whether the publisher gave credits and key_source itself; with the fields it published they decide a conflict.
    credits_given    boolean not null,
    key_source_given boolean not null,
    org_id           varchar(36) collate "C" not null,
    -- Null where the id is the event key.
    event_id         varchar(128),
    source           varchar(128) not null,
    user_id          varchar(255) collate "C" not null,
    credits_used     numeric(20, 6) not null,
    service_type     varchar(100) not null,
    service_name     varchar(200),
    quantity         numeric(20, 6) not null,
    -- USD.
    api_cost         numeric(20, 6),
    markup_applied   numeric(20, 6),
    request_id       varchar(255),
    request_metadata jsonb not null,
    -- Names in request_metadata that were unknown fields of the event; they decide no conflict.
    folded_fields    text[],
    primary key (org_id, event_key, entry)
);

-- Usage history of an organization, newest first, and sums over a period.
create index credit_usage_attribution_time on credit_usage_attribution (org_id, occurred_at, event_key, entry);
-- The same for one user of it.
create index credit_usage_attribution_user on credit_usage_attribution (org_id, user_id, occurred_at, event_key, entry);

-- The work table: events that are unfunded or unpriced now, in the order in which they were recorded.
create table open_usage_events (
    org_id    varchar(36) collate "C" not null references organizations on delete cascade,
    open_no   bigint not null,
    event_key uuid not null,
    outcome   usage_outcome not null check (outcome in ('unfunded', 'unpriced')),
    primary key (org_id, open_no),
    unique (org_id, event_key)
);

-- Every change of a balance that usage does not make, and money.
create table org_billing_history (
    org_id            varchar(36) collate "C" not null references organizations on delete cascade,
    id                bigint generated always as identity,
    event_type        text not null,
    balance           text check (balance in ('total', 'allocated', 'overage_billed')),
    credits           numeric(38, 6),
    amount            numeric(20, 6),
    currency          char(3),
    user_id           varchar(255) collate "C",
    subscription_id   uuid,
    lago_invoice_id   varchar(255),
    stripe_invoice_id varchar(255),
    payment_status    text check (payment_status in ('pending', 'paid', 'failed', 'refunded')),
    period_start      timestamptz,
    period_end        timestamptz,
    metadata          jsonb not null default '{}',
    actor             varchar(255) not null,
    request_id        varchar(255),
    created_at        timestamptz not null default now(),
    primary key (org_id, id),
    foreign key (org_id, subscription_id) references organization_subscriptions (org_id, id)
        on delete set null (subscription_id),
    check ((balance is null) = (credits is null)),
    check ((amount is null) = (currency is null))
);

-- The first answer to each keyed call, so that a repeated one changes nothing.
create table idempotency_keys (
    org_id     varchar(36) collate "C" not null references organizations on delete cascade,
    operation  text not null,
    key        varchar(255) collate "C" not null,
    arguments  jsonb not null,
    result     jsonb not null,
    created_at timestamptz not null default now(),
    primary key (org_id, operation, key)
);
