"""Mutations of settlement: small changes of its SQL, each of which must turn a test red."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    """A textual change.

    Attributes:
        name: what goes wrong with it.
        file: in ``meter.db``.
        before: what is replaced; must be there exactly once.
        after: what it becomes.
    """

    name: str
    file: str
    before: str
    after: str = ""


def _function(name: str, file: str, before: str, after: str = "") -> Mutation:
    return Mutation(name, f"sql/functions/{file}.sql", before, after)


#: Which events are new: the ledger, the batch itself, another worker at this very moment.
IDENTITY = [
    _function(
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
    _function(
        "known events are inserted again",
        "settle_usage_columns",
        "select event.letter is not null or event.is_repeated is true",
        "select event.is_repeated is true",
    ),
    _function(
        "duplicates within a batch are let through",
        "settle_usage_columns",
        "select event.letter is not null or event.is_repeated is true",
        "select event.letter is not null",
    ),
    _function(
        "what was refused makes the next event of its key a duplicate",
        "repeated_usage",
        "bool_or(event.refusal is null and (event.occurred_at is null or event.occurred_at <= latest))",
        "bool_or(true)",
    ),
    _function(
        "duplicates ask credits of their account once more",
        "settle_usage_columns",
        "from usage_totals(cardinality(account_users), usage.accounts, usage.credits, fresh) as asked;",
        "from usage_totals(cardinality(account_users), usage.accounts, usage.credits, null) as asked;",
    ),
    _function(
        "duplicates are settled among the events that are decided one by one",
        "settle_usage_columns",
        "where event.is_fresh is not false and (short[",
        "where (short[",
    ),
    _function(
        "another user's event under the same key is a duplicate",
        "compare_with_ledger",
        "                         and first.user_id = account_users[event.account]\n",
    ),
    _function(
        "an event with another request is a duplicate",
        "compare_with_ledger",
        "                         and first.request_id is not distinct from event.request_id\n",
    ),
    _function(
        "a price that changed since makes a conflict",
        "compare_with_ledger",
        "(not first.credits_given or first.credits_used = event.credits)",
        "(first.credits_used is not distinct from event.credits)",
    ),
    _function(
        "fields that the contract does not know make a conflict",
        "compare_with_ledger",
        "= event.metadata::jsonb - coalesce(folded[event.kind]::text[], '{}') end",
        "= event.metadata::jsonb end",
    ),
    _function(
        "the same key in another organization is the same event",
        "compare_with_ledger",
        "and entry_0.org_id = event.org_id and entry_0.event_key = event.event_key",
        "and entry_0.event_key = event.event_key",
    ),
    _function(
        "what others settle at the same time is taken for new",
        "written_events",
        "event.is_fresh and written.event_key is not null",
        "event.is_fresh",
    ),
    _function(
        "what is refused is not looked for once more",
        "settle_usage_columns",
        "if 'r' = any (letters) then",
        "if false then",
    ),
    _function(
        "a known event that cannot be rated any more is refused",
        "settle_usage_columns",
        "if not expect_new or usage.refusals is not null then",
        "if not expect_new then",
    ),
    _function(
        "an event of the future is settled",
        "usage_rows",
        "      and (event.occurred_at is null or event.occurred_at <= latest)\n",
    ),
]

#: Whether pool and allocation have what is asked of them, read after the lock. Not among them: an allocation
#: that was taken out meanwhile is charged. So it would be had the batch come a moment before.
COVER = [
    _function(
        "pools are not locked",
        "lock_pools",
        "        for no key update\n",
    ),
    _function(
        "an allocation is overdrawn by a batch that its pool covers",
        "take_credits",
        "      and allocation.remaining_credits >= account.total;",
        ";",
    ),
    _function(
        "a pool is overdrawn by a batch that its allocations cover",
        "take_credits",
        "where pool.org_id = org_ids[wanted.no] and pool.available_credits >= wanted.total;",
        "where pool.org_id = org_ids[wanted.no];",
    ),
    _function(
        "what was predicted before a reset counts after it",
        "take_credits",
        "      and allocation.is_active and allocation.period_no = account.period_no\n",
        "      and allocation.is_active\n",
    ),
    _function(
        "an allocation given meanwhile is not charged",
        "take_credits",
        "(allocation.id is distinct from account.allocation_id\n",
        "(false\n",
    ),
    _function(
        "free events keep a period that is over",
        "take_credits",
        "               or allocation.period_no is distinct from account.period_no\n",
    ),
    _function(
        "an allocation is not required of those who have none",
        "take_credits",
        "               or account.total > 0 and pool.allocation_required)",
        ")",
    ),
    _function(
        "a closed organization is charged",
        "take_credits",
        "where organization.status = 'closed' and organization.id = any (org_ids)",
        "where false and organization.id = any (org_ids)",
    ),
    _function(
        "a closed organization of whose usage nothing is new stops the batch",
        "take_credits",
        "where account.total is not null and org_ids[account.org] = organization.id)",
        "where org_ids[account.org] = organization.id)",
    ),
    _function(
        "the prediction is trusted",
        "settle_usage_columns",
        "        exception when sqlstate 'MT010' then\n"
        "            short := short_organizations(org_ids, account_orgs, account_users, totals, outcomes, "
        "allocation_ids, period_nos);\n"
        "            perform take_credits(org_ids, account_orgs, account_users, totals, allocation_ids, "
        "period_nos, short);\n",
        "        exception when sqlstate 'MT010' then\n            null;\n",
    ),
    _function(
        "a pool that ran short meanwhile is not found short",
        "short_organizations",
        "(asked.total > pool.available_credits or organization.status <> 'active')",
        "(organization.status <> 'active')",
    ),
    _function(
        "an organization closed meanwhile is not found short",
        "short_organizations",
        "(asked.total > pool.available_credits or organization.status <> 'active')",
        "(asked.total > pool.available_credits)",
    ),
    _function(
        "rows predicted as unfunded stay so where credits came in meanwhile",
        "short_organizations",
        "(account.outcome <> 'charged'\n",
        "(false\n",
    ),
    _function(
        "an allocation exhausted meanwhile is not found short",
        "short_organizations",
        "else account.total > allocation.remaining_credits end",
        "else false end",
    ),
    _function(
        "an allocation reset meanwhile is not found changed",
        "short_organizations",
        "                                or account.period_no is distinct from allocation.period_no\n",
    ),
]

#: One after the other, each seeing what those before it took.
ORDER = [
    _function(
        "events are decided in the order of their keys",
        "settle_in_order",
        "order by listed.org_id, listed.pos",
        "order by listed.org_id, listed.event_key",
    ),
    _function(
        "what a batch charged does not count against the pool",
        "settle_in_order",
        "            available := available - event.credits;\n",
    ),
    _function(
        "what a batch charged does not count against the allocation",
        "settle_in_order",
        "            available := available - event.credits;\n"
        "            remaining[event.slot] := remaining[event.slot] - event.credits;\n",
        "            available := available - event.credits;\n",
    ),
    _function(
        "overage room is not reduced within a batch",
        "settle_in_order",
        "            overage_room := overage_room - event.credits;\n",
    ),
    _function(
        "overage does not count against the allocation",
        "settle_in_order",
        "            overage_room := overage_room - event.credits;\n"
        "            remaining[event.slot] := remaining[event.slot] - event.credits;\n",
        "            overage_room := overage_room - event.credits;\n",
    ),
    _function(
        "the allocation's remaining credits are ignored",
        "settle_in_order",
        "elsif event.allocation_id is not null and remaining[event.slot] < event.credits then",
        "elsif false then",
    ),
    _function(
        "the pool's available credits are ignored",
        "settle_in_order",
        "elsif available >= event.credits then",
        "elsif available is not null then",
    ),
    _function(
        "the limit of overage is ignored",
        "settle_in_order",
        "elsif overage_room >= event.credits then",
        "elsif overage_room is not null then",
    ),
    _function(
        "whether an allocation is required is ignored",
        "settle_in_order",
        "elsif event.allocation_id is null and event.allocation_required then",
        "elsif event.allocation_id is null and false then",
    ),
    _function(
        "an event of no credits may be unfunded",
        "settle_in_order",
        "if event.credits = 0 then",
        "if event.credits < 0 then",
    ),
]

#: What is written and added up.
BOOKS = [
    _function(
        "outcomes are not corrected",
        "apply_settlement",
        "set outcome = final.outcome, reason = final.reason,",
        "set reason = final.reason,",
    ),
    _function(
        "reasons are not corrected",
        "apply_settlement",
        "set outcome = final.outcome, reason = final.reason,",
        "set outcome = final.outcome,",
    ),
    _function(
        "allocations are not corrected",
        "apply_settlement",
        "            allocation_id = final.allocation_id, period_no = final.period_no\n",
        "            period_no = final.period_no\n",
    ),
    _function(
        "the period of the allocation is not corrected",
        "apply_settlement",
        "            allocation_id = final.allocation_id, period_no = final.period_no\n",
        "            allocation_id = final.allocation_id\n",
    ),
    _function(
        "overage does not use the allocation",
        "apply_settlement",
        "where outcome in ('charged', 'overage') and allocation_id is not null",
        "where outcome = 'charged' and allocation_id is not null",
    ),
    _function(
        "what is charged one by one does not use the pool",
        "apply_settlement",
        "set used_credits = pool.used_credits + moved.charged,",
        "set used_credits = pool.used_credits,",
    ),
    _function(
        "overage is not added up",
        "apply_settlement",
        "        overage_credits = pool.overage_credits + moved.overage,\n",
    ),
    _function(
        "what is unfunded is not added up",
        "apply_settlement",
        "        unfunded_credits = pool.unfunded_credits + moved.unfunded,\n",
    ),
    _function(
        "an unpriced event is not recorded as open",
        "apply_settlement",
        "        where final.outcome in ('unfunded', 'unpriced')\n",
        "        where final.outcome in ('unfunded')\n",
    ),
    _function(
        "an unfunded event is not recorded as open",
        "apply_settlement",
        "        where final.outcome in ('unfunded', 'unpriced')\n",
        "        where final.outcome in ('unpriced')\n",
    ),
    _function(
        "a batch without any price is taken for charged",
        "settle_usage_columns",
        "usage.credits is null or array_position(usage.credits, null) is not null",
        "array_position(usage.credits, null) is not null",
    ),
    _function(
        "open events are numbered by key",
        "apply_settlement",
        "(partition by final.org_id order by final.pos)",
        "(partition by final.org_id order by final.event_key)",
    ),
]

#: Credits that come in later.
FUNDING = [
    _function(
        "funding begins with the latest events",
        "fund_open_usage",
        "        order by open_no\n",
        "        order by open_no desc\n",
    ),
    _function(
        "funding is done after one step",
        "fund_open_usage",
        "case when examined = p_limit then last_no end",
        "null",
    ),
    _function(
        "funding begins anew at each step",
        "fund_open_usage",
        "outcome = 'unfunded' and open_no > first_no",
        "outcome = 'unfunded' and open_no > 0",
    ),
    _function(
        "a top-up does not mark the organization",
        "request_funding",
        "where org_id = p_org_id and unfunded_credits > 0;",
        "where false;",
    ),
    _function(
        "the first entry of a funded event is not reversed",
        "record_funding",
        "case when step.reverses then -event.credits else event.credits end",
        "case when step.reverses then 0 else event.credits end",
    ),
    _function(
        "a reversal carries the allocation of today",
        "record_funding",
        "case when step.reverses then latest.allocation_id else event.allocation_id end",
        "event.allocation_id",
    ),
    _function(
        "a funded event is charged to the period in which it was recorded",
        "record_funding",
        "case when step.reverses then latest.period_no else event.period_no end",
        "latest.period_no",
    ),
    _function(
        "a funded event stays open",
        "record_funding",
        "    where open.org_id = event.org_id and open.event_key = event.event_key\n",
        "    where false and open.org_id = event.org_id and open.event_key = event.event_key\n",
    ),
    _function(
        "funding does not use the allocation",
        "record_funding",
        "set used_credits = allocation.used_credits + taken.credits, updated_at = now()",
        "set used_credits = allocation.used_credits, updated_at = now()",
    ),
]

#: A limit begins anew.
RESETS = [
    _function("a reset leaves what was used", "reset_allocations", "            used_credits = 0,\n"),
    _function(
        "a reset begins no period",
        "reset_allocations",
        "set period_no = allocation.period_no + 1,",
        "set period_no = allocation.period_no,",
    ),
    _function(
        "a reset marks nothing for funding",
        "reset_allocations",
        "where pool.org_id in (select org_id from due) and pool.unfunded_credits > 0",
        "where false",
    ),
    _function(
        "an allocation taken out is reset",
        "reset_allocations",
        "        where org_id = any (held_orgs) and is_active and next_reset_date <= now()\n",
        "        where org_id = any (held_orgs) and next_reset_date <= now()\n",
    ),
    _function(
        "a closed organization is reset",
        "reset_allocations",
        "where organization.id = any (held_orgs) and organization.status = 'closed'",
        "where false",
    ),
    _function(
        "a late reset is followed by another",
        "reset_allocations",
        "next_reset_date(allocation.reset_period, now())",
        "next_reset_date(allocation.reset_period, allocation.next_reset_date)",
    ),
    _function(
        "a reset waits for every pool that is busy",
        "reset_allocations",
        "        for no key update skip locked\n",
        "        for no key update\n",
    ),
]

#: The order in which several at once take what they need; only load shows what goes wrong.
LOCKS = [
    Mutation(
        "the worker inserts events in the order of the batch",
        "usage_columns.py",
        "order = sorted(range(len(events)), key=sort_keys.__getitem__)",
        "order = sorted(range(len(events)))",
    ),
    _function(
        "pools are locked in any order",
        "lock_pools",
        "        order by pool.org_id\n",
        "        order by random()\n",
    ),
]

MUTATIONS = [*IDENTITY, *COVER, *ORDER, *BOOKS, *FUNDING, *RESETS, *LOCKS]
