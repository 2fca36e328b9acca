-- What the control plane's HTTP side sends around and for a write with a key, as meter_admin.

-- name: begin_keyed_request
select status, body from begin_keyed_request($1, $2, $3, $4, $5);

-- name: keep_answer
select keep_answer($1, $2, $3, $4, $5, $6, $7);

-- name: require_member
select require_member($1, $2);

-- name: claim_payment_reference
select claim_payment_reference($1, $2);

-- name: reverse_credits
select total_credits, available_credits
from reverse_credits($1, $2, p_purchase_amount => $3, p_event_type => $4, p_actor => $5, p_request_id => $6, p_metadata => $7);

-- name: charge_once
select event_key, outcome, credits_used, occurred_at from charge_once($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- name: add_credits_by_request
select total_credits, available_credits, funded_events
from add_credits_to_pool($1, $2, p_purchase_amount => $3, p_event_type => $4, p_actor => $5, p_request_id => $6,
                         p_metadata => $7);

-- name: allocate_by_request
select allocation_id, allocated_credits, used_credits, remaining_credits, funded_events
from allocate_credits_to_user($1, $2, $3, $4, p_reset_period => $5, p_is_active => $6, p_notes => $7, p_request_id => $8);
