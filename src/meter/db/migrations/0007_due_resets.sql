-- "Which allocations are to be reset now?", asked by every worker every few seconds. Settlement changes neither column.
create index user_credit_allocations_due on user_credit_allocations (next_reset_date)
where is_active and next_reset_date is not null;
