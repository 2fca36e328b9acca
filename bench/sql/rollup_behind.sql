-- Whether the sums of usage lack anything: not begun, rows in the queue, or an organization to be summed the first time.
select (select waits_for is distinct from '{}' from usage_rollup_state)
    or exists (select from usage_rollup_queue)
    or exists (select from rolled_up_organizations where not is_complete and entries >= 10000)
