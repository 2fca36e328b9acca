-- What the operators' commands send, as meter_admin.

-- name: create_organization
select create_organization($1, $2, $3, $4, $5, p_request_id => $6, p_owner => $7);

-- name: organizations
select organization.id, organization.name, organization.status, summary.plan, summary.members,
       summary.total_credits, summary.available_credits, organization.created_at
from organizations organization
join org_billing_summary summary on summary.org_id = organization.id
order by organization.id;

-- name: close_organization
select close_organization($1, $2);

-- name: add_credits_to_pool
select total_credits, available_credits, funded_events
from add_credits_to_pool($1, $2, p_purchase_amount => $3, p_event_type => $4, p_actor => $5, p_idempotency_key => $6);

-- name: allocate_credits_to_user
select allocation_id, allocated_credits, used_credits, remaining_credits, funded_events
from allocate_credits_to_user($1, $2, $3, $4, p_reset_period => $5, p_is_active => $6, p_idempotency_key => $7);

-- name: set_pool_terms
select set_pool_terms($1, $2, $3, $4, p_actor => $5);

-- name: void_usage
select event_key, result, outcome, credits, repeated, funded_events from void_usage($1, $2, $3, $4, $5);
