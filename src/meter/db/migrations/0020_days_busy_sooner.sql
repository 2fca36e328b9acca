-- A day of a user is busy, and summed by hours, from 100 entries on instead of 500. When it becomes so, its entries before
-- are read from the ledger, one by one; where much comes in that was most of what summing cost.

-- Whoever sums has ended, and does not begin before this has.
select from usage_rollup_state for update;

create or replace function busy_day() returns bigint
language sql immutable security definer
set search_path = public, pg_temp
as 'select 100::bigint';

-- Everything is summed afresh, an organization at a time; until then a summary reads the ledger.
truncate usage_by_service, usage_by_user, usage_of_user;
update rolled_up_organizations set is_complete = false;
