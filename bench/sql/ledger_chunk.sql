-- Rows of the ledger in the order in which they were written. $1: how many to pass over. $2: how many to take.
select * from credit_usage_attribution offset $1 limit $2
