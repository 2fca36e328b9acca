-- The queue carries what is added up, beside the keys: finding the rows again in the ledger, key by key, took longer than
-- adding them up.

alter table usage_rollup_queue
    -- What the rows of the ledger have as created_at.
    add column written_at       timestamptz,
    -- Organizations whose rows have to be looked up in the ledger, because not all of them were simply charged.
    add column looked_up        varchar[] collate "C",
    -- Accounts and kinds, which the columns of events name by number; null, and all after it: everything is looked up.
    add column account_org_ids  varchar[] collate "C",
    add column account_users    varchar[] collate "C",
    add column service_types    varchar[] collate "C",
    add column service_names    varchar[] collate "C",
    add column quantities       numeric[],
    -- Of each key.
    add column accounts         integer[],
    add column kinds            integer[],
    add column credits          numeric[],
    -- Null: none has any.
    add column api_costs        numeric[],
    -- Null, the column or an element: written_at.
    add column occurred_at      timestamptz[];

update usage_rollup_queue set written_at = queued_at;

alter table usage_rollup_queue
    alter column written_at set default now(), alter column written_at set not null,
    alter column account_org_ids set storage external, alter column account_users set storage external,
    alter column accounts set storage external, alter column kinds set storage external,
    alter column credits set storage external, alter column api_costs set storage external,
    alter column occurred_at set storage external;

drop function if exists queue_for_rollup(varchar[], integer[], integer[], uuid[], boolean[]);
drop function if exists add_to_rollup(usage_rollup_queue[], varchar);
drop function if exists usage_totals(integer, integer[], numeric[], boolean[]);
