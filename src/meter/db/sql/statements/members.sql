-- What the control plane sends about members, as meter_admin.

-- name: add_organization_member
-- $4 who does it, $5 request id, $6 the member whose right is used, $7 whether a member with another role is refused.
select add_organization_member($1, $2, $3, $4, $5, $6, $7);

-- name: change_member_role
select change_member_role($1, $2, $3, $4, $5, $6);

-- name: remove_organization_member
select remove_organization_member($1, $2, $3, $4, $5);

-- name: organization_members
select user_id, role, created_at from organization_members where org_id = $1 order by user_id;

-- name: organization_member
select user_id, role, created_at from organization_members where org_id = $1 and user_id = $2;
