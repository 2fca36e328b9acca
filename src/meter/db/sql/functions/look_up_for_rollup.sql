-- Has the rows of some organizations looked up in the ledger for the sums of usage, because not all of their events of a
-- note were simply charged.
--
-- note: as queue_for_rollup returned it, in the same transaction. p_org_ids: the organizations, each once.
-- p_account_org_ids: the organization of each account of the note.
-- Locks: none.
create or replace function look_up_for_rollup(note tid, p_org_ids varchar[], p_account_org_ids varchar[]) returns void
language sql volatile
set search_path = public, pg_temp
as $$
    update usage_rollup_queue set looked_up = p_org_ids, account_org_ids = p_account_org_ids where ctid = note
$$;
