-- Sums of one user by hours too, of days that are busy_day(): half of such a day, at the edge of a period, and a series by
-- hours were read from the ledger entry by entry.

drop table usage_of_user;

-- "Usage of one user", by days and the hours of busy days.
create table usage_of_user (
    org_id       varchar(36) collate "C" not null,
    user_id      varchar(255) collate "C" not null,
    span         usage_span not null,
    starts_at    timestamptz not null,
    service_type varchar(100) collate "C" not null,
    service_name varchar(200) collate "C",
    outcome      usage_outcome not null,
    entries      bigint not null,
    events       bigint not null,
    quantity     numeric(38, 6) not null,
    credits      numeric(38, 6) not null,
    api_cost     numeric(38, 6) not null,
    unique nulls not distinct (org_id, user_id, span, starts_at, service_type, service_name, outcome)
) with (fillfactor = 80);

-- Everything is summed afresh, an organization at a time; until then a summary reads the ledger.
truncate usage_by_service, usage_by_user;
update rolled_up_organizations set is_complete = false;
