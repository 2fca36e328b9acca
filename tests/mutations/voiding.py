"""Mutations of what voids do: when they come after their events, and when they come before."""

from __future__ import annotations

from tests.mutations.mutation import Mutation, in_function

#: A void that comes after its event.
VOIDS = [
    in_function(
        "a second void reverses once more",
        "take_back",
        " or present.counterpart_key is not null then",
        " then",
    ),
    in_function(
        "the first outcome is reversed, not the present one",
        "take_back",
        "order by usage.entry desc",
        "order by usage.entry",
    ),
    in_function(
        "a limit is given back whatever period it was taken from",
        "take_back",
        "      and allocation.period_no = present.period_no and charged + overage > 0;",
        "      and charged + overage > 0;",
    ),
    in_function(
        "overage does not come back to the allocation",
        "take_back",
        "used_credits = allocation.used_credits - charged - overage",
        "used_credits = allocation.used_credits - charged",
    ),
    in_function(
        "an event that was taken back stays open",
        "take_back",
        "    delete from open_usage_events where org_id = p_org_id and event_key = p_target_key;\n",
    ),
    in_function(
        "billed overage is not credited",
        "take_back",
        "greatest(pool.overage_billed_credits - (pool.overage_credits - overage), 0) into credited",
        "0 into credited",
    ),
    in_function(
        "billed overage is credited first",
        "take_back",
        "greatest(pool.overage_billed_credits - (pool.overage_credits - overage), 0) into credited",
        "least(pool.overage_billed_credits, overage) into credited",
    ),
    in_function(
        "a credit of billed overage is not in the history",
        "take_back",
        "if credited > 0 then",
        "if false then",
    ),
    in_function(
        "what comes free waits for nobody",
        "take_back",
        "case when charged + overage > 0 and pool.unfunded_credits > 0 then 0",
        "case when false then 0",
    ),
    in_function(
        "whatever is taken back marks the organization",
        "take_back",
        "case when charged + overage > 0 and pool.unfunded_credits > 0 then 0",
        "case when pool.unfunded_credits > 0 then 0",
    ),
    in_function(
        "what was unfunded stays so in the balance",
        "take_back",
        "        unfunded_credits = pool.unfunded_credits - unfunded,\n",
    ),
    in_function(
        "the sums of usage are not told",
        "take_back",
        "values (array[p_org_id], array[1], array[p_target_key], array[present.entry]);",
        "select null, null, null, null where false;",
    ),
    in_function(
        "a void of a void is taken for any other",
        "judge_voids",
        "and target.entry = 0 and target.outcome = 'void'",
        "and false",
    ),
    in_function(
        "a void of a void before it in the batch is taken for any other",
        "judge_voids",
        "                             or void.org_id || ' ' || void.target_key = any (recorded)\n",
    ),
    in_function(
        "a void of itself is taken for any other",
        "judge_voids",
        "void.target_key = void.event_key\n",
        "false\n",
    ),
    in_function(
        "a void of the future is taken",
        "judge_voids",
        "when void.occurred_at > latest then 'f'",
        "when false then 'f'",
    ),
    in_function(
        "another target is no other content",
        "compare_void",
        " and first.counterpart_key = void.target_key",
    ),
    in_function(
        "another reason is no other content",
        "compare_void",
        """                     and first.request_metadata - coalesce(first.folded_fields, '{}')
                         = void.metadata - coalesce(void.folded, '{}')
""",
    ),
    in_function(
        "unknown fields decide a conflict",
        "compare_void",
        "= void.metadata - coalesce(void.folded, '{}')",
        "= void.metadata",
    ),
    in_function(
        "a conflict with usage is a duplicate",
        "compare_void",
        "else 'x' end",
        "else 'd' end",
    ),
    in_function(
        "pools are not locked for voids",
        "settle_voids",
        "where letters[listed.pos] in ('v', 'w')",
        "where false",
    ),
    in_function(
        "a void is recorded although the void it names came meanwhile",
        "voids_overtaken",
        "when 'v' then listed.target_key when 'w'",
        "when 'w'",
    ),
    in_function(
        "a void is refused for what it names although its key was taken meanwhile",
        "voids_overtaken",
        " when 'w' then listed.event_key end",
        " end",
    ),
    in_function(
        "a void that is settled at the same time breaks the batch",
        "settle_voids",
        "exception when unique_violation or serialization_failure then",
        "exception when serialization_failure then",
    ),
    Mutation(
        "voids are settled before the usage of their batch",
        "voids.py",
        "for kind, run in groupby(events, type):",
        "for kind, run in groupby(sorted(events, key=lambda event: type(event) is not Void), type):",
    ),
]

#: A void that comes before its event.
AWAITED = [
    in_function(
        "no void waits",
        "settle_voids",
        "if not take_back(void.org_id, void.target_key, void.event_key) then",
        "if take_back(void.org_id, void.target_key, void.event_key) and false then",
    ),
    in_function(
        "the last void waits, not the first",
        "settle_voids",
        "on conflict (org_id, target_key) do nothing",
        "on conflict (org_id, target_key) do update set void_key = excluded.void_key",
    ),
    in_function(
        "a void that waits is not counted",
        "settle_voids",
        "set pending_voids = pool.pending_voids + 1",
        "set pending_voids = pool.pending_voids",
    ),
    in_function(
        "a void that came before the void it names waits for ever",
        "settle_voids",
        "        perform no_longer_pending(void.org_id, void.event_key);\n",
    ),
    in_function(
        "a void goes on waiting when its event has come",
        "no_longer_pending",
        "        delete from pending_voids where org_id = p_org_id and target_key = p_target_key returning",
        "        update pending_voids set created_at = now() where target_key = p_target_key returning",
    ),
    in_function(
        "settlement does not look for voids that wait",
        "lock_pools",
        "filter (where pools.pending_voids > 0)",
        "filter (where false)",
    ),
    in_function(
        "voids that wait are looked for in the pools as they were before the lock",
        "lock_pools",
        """        select pool.org_id, pool.pending_voids from organization_credit_pools pool
        where pool.org_id = any (org_ids)
        order by pool.org_id
        for no key update
""",
        """        select pool.org_id, before.pending_voids from organization_credit_pools pool
        join organization_credit_pools before on before.org_id = pool.org_id
        where pool.org_id = any (org_ids)
        order by pool.org_id
        for no key update of pool
""",
    ),
    in_function(
        "what is taken back at once counts against what comes after it",
        "settle_awaited",
        """        settled := settled || settle_carefully(events[begun : awaited.no]);
        begun := awaited.no + 1;
        perform take_back""",
        """        if begun = 1 then settled := settle_carefully(events); end if;
        begun := cardinality(events) + 1;
        perform take_back""",
    ),
    in_function(
        "no event is found that a void waits for",
        "settle_usage_columns",
        "where event.is_fresh is not false and account_org_ids[event.account] = any (awaiting)",
        "where account_org_ids[event.account] = any (awaiting) and false",
    ),
]
