-- Rows of the ledger in the order in which they were written, from a place ($1, included) to another ($2, excluded).
select * from credit_usage_attribution where ctid >= $1::text::tid and ctid < $2::text::tid
