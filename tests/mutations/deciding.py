"""Mutations of what becomes of an event: which are new, what covers them, in which order."""

from __future__ import annotations

from tests.mutations.mutation import Mutation, in_function

#: Which events are new: the ledger, the batch itself, another worker at this moment. Not among them: known
#: events are inserted again. The conflict clause passes them over, at the price of trying.
IDENTITY = [
    in_function(
        "the conflict clause is dropped",
        "settle_usage_columns",
        "on conflict (org_id, event_key, entry) do nothing",
        "",
    ),
    Mutation(
        "the worker gives up a batch of which something became known meanwhile",
        "settlement.py",
        "except asyncpg.UniqueViolationError:",
        "except asyncpg.DivisionByZeroError:",
    ),
    in_function(
        "duplicates within a batch are let through",
        "settle_usage_columns",
        "select event.letter is not null or event.is_repeated is true",
        "select event.letter is not null",
    ),
    in_function(
        "what was refused makes the next event of its key a duplicate",
        "repeated_usage",
        "bool_or(event.refusal is null and (event.occurred_at is null or event.occurred_at <= latest))",
        "bool_or(true)",
    ),
    in_function(
        "duplicates ask credits of their account once more",
        "settle_usage_columns",
        "\n    from usage_totals(cardinality(account_users), usage.accounts, usage.credits, fresh) as asked;",
        "\n    from usage_totals(cardinality(account_users), usage.accounts, usage.credits, null) as asked;",
    ),
    in_function(
        "what is found to be no new event after all asks credits of its account",
        "settle_usage_columns",
        "if fresh is distinct from counted then",
        "if false then",
    ),
    in_function(
        "what is new among known events is answered as if it were settled",
        "known_usage",
        "if num_nulls(variadic letters) > 0 then",
        "if false then",
    ),
    in_function(
        "duplicates are settled among the events that are decided one by one",
        "settle_usage_columns",
        "where event.is_fresh is not false and (short[",
        "where (short[",
    ),
    in_function(
        "another user's event under the same key is a duplicate",
        "compare_with_ledger",
        "                         and first.user_id = account_users[event.account]\n",
    ),
    in_function(
        "an event with another request is a duplicate",
        "compare_with_ledger",
        "                         and first.request_id is not distinct from event.request_id\n",
    ),
    in_function(
        "a price that changed since makes a conflict",
        "compare_with_ledger",
        "(not first.credits_given or first.credits_used = event.credits)",
        "(first.credits_used is not distinct from event.credits)",
    ),
    in_function(
        "fields that the contract does not know make a conflict",
        "compare_with_ledger",
        "= event.metadata::jsonb - coalesce(folded[event.kind]::text[], '{}') end",
        "= event.metadata::jsonb end",
    ),
    in_function(
        "the same key in another organization is the same event",
        "compare_with_ledger",
        "event.wanted is not false and entry_0.org_id = account_org_ids[event.account]",
        "event.wanted is not false",
    ),
    in_function(
        "what others settle at the same time is taken for new",
        "written_events",
        "event.is_fresh and written.event_key is not null",
        "event.is_fresh",
    ),
    in_function(
        "a repetition within a batch is compared with nothing",
        "settle_usage_columns",
        "select event.is_repeated is true or (event.is_expected and not event.is_fresh) is true",
        "select (event.is_expected and not event.is_fresh) is true",
    ),
    in_function(
        "what is refused is not looked for once more",
        "settle_usage_columns",
        "if 'r' = any (letters) then",
        "if false then",
    ),
    in_function(
        "an event of the future is settled",
        "usage_rows",
        "      and (event.occurred_at is null or event.occurred_at <= latest)\n",
    ),
]

#: Whether pool and allocation have what is asked of them, read after the lock. Not among them: an allocation
#: that was taken out meanwhile is charged. So it would be had the batch come a moment before.
COVER = [
    in_function(
        "pools are not locked",
        "lock_pools",
        "        for no key update\n",
    ),
    in_function(
        "an allocation is overdrawn by a batch that its pool covers",
        "take_credits",
        "      and allocation.remaining_credits >= account.total;",
        ";",
    ),
    in_function(
        "a pool is overdrawn by a batch that its allocations cover",
        "take_credits",
        "where pool.org_id = org_ids[wanted.no] and pool.available_credits >= wanted.total;",
        "where pool.org_id = org_ids[wanted.no];",
    ),
    in_function(
        "what was predicted before a reset counts after it",
        "take_credits",
        "      and allocation.is_active and allocation.period_no = account.period_no\n",
        "      and allocation.is_active\n",
    ),
    in_function(
        "an allocation given or reset meanwhile is not found by those of whom nothing is taken from one",
        "take_credits",
        "(allocation.period_no is distinct from account.period_no\n",
        "(false\n",
    ),
    in_function(
        "an allocation is not required of those who have none",
        "take_credits",
        "               or account.total > 0 and pool.allocation_required)",
        ")",
    ),
    in_function(
        "a closed organization is charged",
        "take_credits",
        "where organization.status = 'closed' and organization.id = any (org_ids)",
        "where false and organization.id = any (org_ids)",
    ),
    in_function(
        "a closed organization of whose usage nothing is new stops the batch",
        "take_credits",
        "where account.total is not null and org_ids[account.org] = organization.id)",
        "where org_ids[account.org] = organization.id)",
    ),
    in_function(
        "the prediction is trusted",
        "settle_usage_columns",
        "        exception when sqlstate 'MT010' then\n"
        "            short := short_organizations(org_ids, account_orgs, account_users, totals, outcomes, "
        "allocation_ids, period_nos);\n"
        "            perform take_credits(org_ids, account_orgs, account_users, totals, allocation_ids, "
        "period_nos, short);\n",
        "        exception when sqlstate 'MT010' then\n            null;\n",
    ),
    in_function(
        "a pool that ran short meanwhile is not found short",
        "short_organizations",
        "(asked.total > pool.available_credits or organization.status <> 'active')",
        "(organization.status <> 'active')",
    ),
    in_function(
        "an organization closed meanwhile is not found short",
        "short_organizations",
        "(asked.total > pool.available_credits or organization.status <> 'active')",
        "(asked.total > pool.available_credits)",
    ),
    in_function(
        "rows predicted as unfunded stay so where credits came in meanwhile",
        "short_organizations",
        "(account.outcome <> 'charged'\n",
        "(false\n",
    ),
    in_function(
        "an allocation exhausted meanwhile is not found short",
        "short_organizations",
        "else account.total > allocation.remaining_credits end",
        "else false end",
    ),
    in_function(
        "an allocation reset meanwhile is not found changed",
        "short_organizations",
        "                                or account.period_no is distinct from allocation.period_no\n",
    ),
]

#: One after the other, each seeing what those before it took.
ORDER = [
    in_function(
        "events are decided in the order of their keys",
        "settle_in_order",
        "order by listed.org_id, listed.pos",
        "order by listed.org_id, listed.event_key",
    ),
    in_function(
        "what a batch charged does not count against the pool",
        "settle_in_order",
        "            available := available - event.credits;\n",
    ),
    in_function(
        "what a batch charged does not count against the allocation",
        "settle_in_order",
        "            available := available - event.credits;\n"
        "            remaining[event.slot] := remaining[event.slot] - event.credits;\n",
        "            available := available - event.credits;\n",
    ),
    in_function(
        "overage room is not reduced within a batch",
        "settle_in_order",
        "            overage_room := overage_room - event.credits;\n",
    ),
    in_function(
        "overage does not count against the allocation",
        "settle_in_order",
        "            overage_room := overage_room - event.credits;\n"
        "            remaining[event.slot] := remaining[event.slot] - event.credits;\n",
        "            overage_room := overage_room - event.credits;\n",
    ),
    in_function(
        "the allocation's remaining credits are ignored",
        "settle_in_order",
        "elsif event.allocation_id is not null and remaining[event.slot] < event.credits then",
        "elsif false then",
    ),
    in_function(
        "the pool's available credits are ignored",
        "settle_in_order",
        "elsif available >= event.credits then",
        "elsif available is not null then",
    ),
    in_function(
        "the limit of overage is ignored",
        "settle_in_order",
        "elsif overage_room >= event.credits then",
        "elsif overage_room is not null then",
    ),
    in_function(
        "whether an allocation is required is ignored",
        "settle_in_order",
        "elsif event.allocation_id is null and event.allocation_required then",
        "elsif event.allocation_id is null and false then",
    ),
    in_function(
        "an event of no credits may be unfunded",
        "settle_in_order",
        "if event.credits = 0 then",
        "if event.credits < 0 then",
    ),
]
