-- The sums of usage as meter_reader may read them: of the organization it reads, where its reader sees everyone's usage, or
-- of the reader's own.
-- Row-level security would say the same at a price: below a policy only comparisons known to leak nothing may use an
-- index, and those of enumerations, that are in the keys of these tables, are not. So the views have the owner's
-- rights, the reader has none on the tables, and the conditions stand here.

create or replace view readable_usage_by_service as
select sums.* from usage_by_service sums
where sums.org_id = (select reader_organization()) and (select reader_sees_everyone());

create or replace view readable_usage_by_user as
select sums.* from usage_by_user sums
where sums.org_id = (select reader_organization()) and (select reader_sees_everyone());

create or replace view readable_usage_of_user as
select sums.* from usage_of_user sums
where sums.org_id = (select reader_organization())
  and ((select reader_sees_everyone()) or sums.user_id = (select current_setting('meter.user_id', true)));
