-- Whether the ledger knows a void already.
--
-- Returns: the letter of a duplicate or a conflict (settlement_letters), null where its key is not there.
-- Locks: none. What is there is never changed, so that the answer holds; what is not may come at any moment.
create or replace function compare_void(void usage_void) returns text
language sql stable
set search_path = public, pg_temp
as $$
    select case when first.outcome = 'void' and first.source = void.source and first.counterpart_key = void.target_key
                     and first.request_metadata - coalesce(first.folded_fields, '{}')
                         = void.metadata - coalesce(void.folded, '{}')
                     and (void.occurred_at is null or void.occurred_at = first.occurred_at) then 'd'
                else 'x' end
    from credit_usage_attribution first
    where first.org_id = void.org_id and first.event_key = void.event_key and first.entry = 0
$$;
