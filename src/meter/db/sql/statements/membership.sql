-- What the read API asks about organizations and who belongs to them, as meter_reader.

-- name: read_for
-- Says for the rest of the transaction whom it reads for. $1 user, $2 organization, $3 'yes' for who is held to no
-- membership; each empty for none.
select set_config('meter.user_id', $1, true), set_config('meter.org_id', $2, true),
       set_config('meter.sees_everything', $3, true);

-- name: read_role
-- The same arguments. No row: no organization of the reader's; null: it is, though the reader is no member.
select role from read_role($1, $2, $3);

-- name: read_whether_administrator
-- $1 user.
select exists (select from organization_members where user_id = $1 and role in ('admin', 'owner'));

-- name: read_user_organizations
-- $1 user, $2 the organization id before the page, $3 rows at most.
select organization.id as org_id, organization.name, organization.display_name, organization.status, member.role
from organization_members member
join organizations organization on organization.id = member.org_id
where member.user_id = $1 and member.org_id > $2
order by member.org_id
limit $3;

-- name: read_all_organizations
-- The same for who sees every organization; the role is null where the user is no member.
select organization.id as org_id, organization.name, organization.display_name, organization.status, member.role
from organizations organization
left join organization_members member on member.org_id = organization.id and member.user_id = $1
where organization.id > $2
order by organization.id
limit $3;

-- name: read_members
-- $1 organization, $2 the user id before the page, $3 rows at most.
select user_id, role, created_at
from organization_members
where org_id = $1 and user_id > $2
order by user_id
limit $3;
