-- What meter_reader sees depends on whom it reads for, whatever a statement asks: a forgotten "where" shows nothing.
--
-- Whom it reads for is said by three settings, local to the transaction; without them there is nothing to see:
-- meter.user_id, the user; meter.org_id, the organization that is read, empty for what the user has in all of them;
-- meter.sees_everything, 'yes' for who is held to no membership: in that organization or, without one, in all.
--
-- The sums of usage have no policy: below one, an index on an enumeration cannot be used, and theirs have one. They are read
-- through views that ask the same.
--
-- The policies ask their questions in subselects, which a statement answers once and not for every row. The functions
-- read memberships with the owner's rights: a policy on a table cannot read that table.

-- The organization that is read; null where its reader does not belong to it.
create function reader_organization() returns varchar
language plpgsql stable parallel safe security definer
set search_path = public, pg_temp
as $$
declare
    asked constant varchar := nullif(current_setting('meter.org_id', true), '');
begin
    if asked is null or current_setting('meter.sees_everything', true) = 'yes' then
        return asked;
    end if;
    return (
        select member.org_id from organization_members member
        where member.org_id = asked and member.user_id = current_setting('meter.user_id', true)
    );
end
$$;

-- Whether the reader sees what is other users' in it: all who are more than members do.
create function reader_sees_everyone() returns boolean
language plpgsql stable parallel safe security definer
set search_path = public, pg_temp
as $$
begin
    return current_setting('meter.sees_everything', true) = 'yes' or exists (
        select from organization_members member
        where member.org_id = current_setting('meter.org_id', true)
          and member.user_id = current_setting('meter.user_id', true) and member.role in ('admin', 'owner')
    );
end
$$;

-- The reader's organizations, where none in particular is read.
create function reader_organizations() returns varchar[]
language plpgsql stable parallel safe security definer
set search_path = public, pg_temp
as $$
begin
    if coalesce(current_setting('meter.org_id', true), '') <> '' then
        return '{}';
    end if;
    return array(
        select member.org_id from organization_members member where member.user_id = current_setting('meter.user_id', true)
    );
end
$$;

-- Settlement touches this one first: waiting for it while holding others would be a deadlock.
lock table organization_credit_pools in access exclusive mode;

-- Of every member: organizations, who is in them, their pools and subscriptions.
create policy read_by_members on organizations for select to meter_reader using (
    (select current_setting('meter.sees_everything', true) = 'yes' and current_setting('meter.org_id', true) = '')
    or id = (select reader_organization())
    or id = any ((select reader_organizations())::varchar[])
);
create policy read_by_members on organization_credit_pools for select to meter_reader using (
    (select current_setting('meter.sees_everything', true) = 'yes' and current_setting('meter.org_id', true) = '')
    or org_id = (select reader_organization())
    or org_id = any ((select reader_organizations())::varchar[])
);
create policy read_by_members on organization_subscriptions for select to meter_reader using (
    (select current_setting('meter.sees_everything', true) = 'yes' and current_setting('meter.org_id', true) = '')
    or org_id = (select reader_organization())
    or org_id = any ((select reader_organizations())::varchar[])
);
create policy read_by_members on organization_members for select to meter_reader using (
    (select current_setting('meter.sees_everything', true) = 'yes' and current_setting('meter.org_id', true) = '')
    or org_id = (select reader_organization())
    or (user_id = (select current_setting('meter.user_id', true))
        and org_id = any ((select reader_organizations())::varchar[]))
);
create policy read_by_members on rolled_up_organizations for select to meter_reader using (
    org_id = (select reader_organization())
);

-- Of the user, and of who sees everyone's.
create policy read_by_users on user_credit_allocations for select to meter_reader using (
    (select current_setting('meter.sees_everything', true) = 'yes' and current_setting('meter.org_id', true) = '')
    or (org_id = (select reader_organization())
        and ((select reader_sees_everyone()) or user_id = (select current_setting('meter.user_id', true))))
    or (user_id = (select current_setting('meter.user_id', true))
        and org_id = any ((select reader_organizations())::varchar[]))
);
create policy read_by_users on credit_usage_attribution for select to meter_reader using (
    org_id = (select reader_organization())
    and ((select reader_sees_everyone()) or user_id = (select current_setting('meter.user_id', true)))
);

-- Of who sees everyone's.
create policy read_by_admins on org_billing_history for select to meter_reader using (
    org_id = (select reader_organization()) and (select reader_sees_everyone())
);

-- The control plane acts for the operator and sees all of what it may read.
create policy read_by_operators on organizations for select to meter_admin using (true);
create policy read_by_operators on organization_members for select to meter_admin using (true);
create policy read_by_operators on organization_subscriptions for select to meter_admin using (true);
create policy read_by_operators on organization_credit_pools for select to meter_admin using (true);
create policy read_by_operators on user_credit_allocations for select to meter_admin using (true);
create policy read_by_operators on credit_usage_attribution for select to meter_admin using (true);
create policy read_by_operators on org_billing_history for select to meter_admin using (true);

-- The owner, as whom settlement's functions run, is held to none of this.
alter table organizations enable row level security;
alter table organization_members enable row level security;
alter table organization_subscriptions enable row level security;
alter table organization_credit_pools enable row level security;
alter table user_credit_allocations enable row level security;
alter table credit_usage_attribution enable row level security;
alter table org_billing_history enable row level security;
alter table rolled_up_organizations enable row level security;
