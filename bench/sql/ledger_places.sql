-- Where the first row of each chunk lies, in the order in which rows were written. $1: rows of a chunk.
select place from (select ctid as place, row_number() over () as number from credit_usage_attribution) as numbered
where number % $1 = 1
