-- Prices and plans, and the number that tells a worker that what it rated with has changed.

create table service_prices (
    service_type     varchar(100) not null,
    -- Null: any service of the type that has no price of its own.
    service_name     varchar(200),
    -- 'quantity', or the name of a number in the event's metadata.
    unit             varchar(100) not null,
    credits_per_unit numeric(20, 6) not null check (credits_per_unit >= 0),
    unique nulls not distinct (service_type, service_name, unit)
);

insert into service_prices (service_type, service_name, unit, credits_per_unit) values
    ('llm', null, 'input_tokens', 0.003),
    ('llm', null, 'output_tokens', 0.015),
    ('company_enrichment', null, 'quantity', 50),
    ('company_enrichment', 'full', 'quantity', 100),
    ('contact_lookup', null, 'quantity', 10),
    ('bulk_export', null, 'quantity', 5),
    ('intelligence_cache_lookup', null, 'quantity', 2),
    ('valuation', null, 'quantity', 75),
    ('market_analysis', null, 'quantity', 150);

create table subscription_plans (
    plan          text primary key check (plan in ('platform', 'byok', 'hybrid')),
    -- USD.
    monthly_price numeric(12, 2) not null check (monthly_price >= 0),
    -- Factor on what a provider charged, where usage is rated by cost.
    cost_markup   numeric(20, 6) not null check (cost_markup >= 0)
);

insert into subscription_plans (plan, monthly_price, cost_markup) values
    ('platform', 50, 1.5),
    ('byok', 30, 1.5),
    ('hybrid', 99, 1.5);

-- The plan in force from a moment on; a null plan: no live subscription.
create table organization_plan_history (
    org_id     varchar(36) collate "C" not null references organizations on delete cascade,
    valid_from timestamptz not null,
    plan       text references subscription_plans,
    primary key (org_id, valid_from)
);

-- One row. Workers rate with what they cached at an epoch; settle_usage refuses a batch of another epoch.
create table rating_epoch (
    singleton boolean primary key default true check (singleton),
    epoch     bigint not null
);

insert into rating_epoch (epoch) values (1);

create function advance_rating_epoch() returns trigger
language plpgsql
set search_path = public, pg_temp
as $$
begin
    update rating_epoch set epoch = epoch + 1;
    return null;
end
$$;

create trigger service_prices_changed after insert or update or delete or truncate on service_prices
    for each statement execute function advance_rating_epoch();
create trigger subscription_plans_changed after insert or update or delete or truncate on subscription_plans
    for each statement execute function advance_rating_epoch();
create trigger organization_plan_history_changed after insert or update or delete or truncate on organization_plan_history
    for each statement execute function advance_rating_epoch();
