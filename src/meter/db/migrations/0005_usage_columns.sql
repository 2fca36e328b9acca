-- A batch of usage as columns: what settlement takes. Not stored anywhere.

create type usage_columns as (
    -- The organizations of the batch, each once, ascending.
    org_ids           varchar[],
    -- Its accounts, each once: a user of an organization, which is given by its number (from 1) in org_ids.
    account_orgs      integer[],
    account_users     varchar[],
    -- Its kinds: what many events have in common.
    sources           varchar[],
    service_types     varchar[],
    service_names     varchar[],
    quantities        numeric[],
    key_sources       provider_key_source[],
    credits_given     boolean[],
    key_sources_given boolean[],
    -- Array literals: names in the metadata that decide no conflict.
    folded            text[],
    -- Its events, ascending by organization and event_key, of several with the same the earliest first; position is
    -- the place in the batch, account and kind are numbers in the lists above. An array that would hold nulls only may be null.
    positions         integer[],
    accounts          integer[],
    kinds             integer[],
    event_keys        uuid[],
    event_ids         varchar[],
    credits           numeric[],
    api_costs         numeric[],
    markups           numeric[],
    request_ids       varchar[],
    metadata          text[],
    occurred_at       timestamptz[],
    refusals          text[]
);

-- (user_id, org_id) was as good as the primary key for finding one allocation, and the planner took it; but the batches
-- of settlement come in the order of the primary key, where neighbours lie together.
drop index user_credit_allocations_user;
create index user_credit_allocations_user on user_credit_allocations (user_id);

-- "Which organizations of a batch are closed?": few are.
create index organizations_closed on organizations (id) where status = 'closed';

-- Replaced by functions that take columns.
drop function if exists insert_usage(json, timestamptz);
drop function if exists contested_organizations(settling_event[]);
drop function if exists compare_with_ledger(json, settling_event[]);
