-- What the read API asks of the ledger's entries, newest first, as meter_reader.

-- name: read_usage_page
-- $1 user, $2 organization, $3 'yes' for who is held to no membership; the rest as the function says.
select * from read_usage_page($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: read_clock
select clock_timestamp();
