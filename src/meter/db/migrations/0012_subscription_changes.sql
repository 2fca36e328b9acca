-- Subscriptions that change, pause and end; changes of members by members.

alter table organization_subscriptions
    -- Counts its changes, so that who changes what was read can tell whether it still stands.
    add column version integer not null default 1,
    -- When a cancellation takes effect; null: it goes on.
    add column cancel_at timestamptz,
    -- Periods are whole months or years from here, so that one that began on a 31st keeps to it.
    add column period_anchor timestamptz;

-- A trial is a period of its own; what is paid begins after it.
update organization_subscriptions
set period_anchor = case status when 'trialing' then trial_ends_at else current_period_start end,
    current_period_end = case status when 'trialing' then trial_ends_at else current_period_end end;
alter table organization_subscriptions alter column period_anchor set not null;

-- One subscription by its id alone.
create index organization_subscriptions_id on organization_subscriptions (id);

-- "Which subscriptions has time changed?", asked by every worker every few seconds.
create index organization_subscriptions_due
on organization_subscriptions (least(cancel_at, case when status <> 'paused' then current_period_end end))
where status <> 'canceled';

-- Replaced by functions that take more.
drop function if exists start_subscription(varchar, text, text, numeric, integer, varchar);
drop function if exists create_organization(varchar, varchar, varchar, integer, varchar);
drop function if exists add_organization_member(varchar, varchar, text, varchar);
