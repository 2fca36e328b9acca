-- The rows that settlement hands from one step to the next inside a transaction. Not stored anywhere.

create type settling_event as (
    pos           bigint,
    org_id        varchar,
    event_key     uuid,
    user_id       varchar,
    credits       numeric,
    priced        boolean,
    -- Whether this batch wrote the row.
    fresh         boolean,
    -- Why no retry can settle it, where so.
    refusal       text,
    -- What was written on the strength of balances read before the lock.
    outcome       usage_outcome,
    reason        unfunded_reason,
    allocation_id bigint,
    period_no     integer
);

create type settled_event as (
    pos           bigint,
    org_id        varchar,
    event_key     uuid,
    user_id       varchar,
    credits       numeric,
    outcome       usage_outcome,
    reason        unfunded_reason,
    allocation_id bigint,
    period_no     integer
);
