"""Mutations of what is kept: books, funding, resets, locks."""

from __future__ import annotations

from tests.mutations.mutation import Mutation, in_function

#: What is written and added up.
BOOKS = [
    in_function(
        "outcomes are not corrected",
        "apply_settlement",
        "set outcome = final.outcome, reason = final.reason,",
        "set reason = final.reason,",
    ),
    in_function(
        "reasons are not corrected",
        "apply_settlement",
        "set outcome = final.outcome, reason = final.reason,",
        "set outcome = final.outcome,",
    ),
    in_function(
        "allocations are not corrected",
        "apply_settlement",
        "            allocation_id = final.allocation_id, period_no = final.period_no\n",
        "            period_no = final.period_no\n",
    ),
    in_function(
        "the period of the allocation is not corrected",
        "apply_settlement",
        "            allocation_id = final.allocation_id, period_no = final.period_no\n",
        "            allocation_id = final.allocation_id\n",
    ),
    in_function(
        "overage does not use the allocation",
        "apply_settlement",
        "where outcome in ('charged', 'overage') and allocation_id is not null",
        "where outcome = 'charged' and allocation_id is not null",
    ),
    in_function(
        "what is charged one by one does not use the pool",
        "apply_settlement",
        "set used_credits = pool.used_credits + moved.charged,",
        "set used_credits = pool.used_credits,",
    ),
    in_function(
        "overage is not added up",
        "apply_settlement",
        "        overage_credits = pool.overage_credits + moved.overage,\n",
    ),
    in_function(
        "what is unfunded is not added up",
        "apply_settlement",
        "        unfunded_credits = pool.unfunded_credits + moved.unfunded,\n",
    ),
    in_function(
        "an unpriced event is not recorded as open",
        "apply_settlement",
        "        where final.outcome in ('unfunded', 'unpriced')\n",
        "        where final.outcome in ('unfunded')\n",
    ),
    in_function(
        "an unfunded event is not recorded as open",
        "apply_settlement",
        "        where final.outcome in ('unfunded', 'unpriced')\n",
        "        where final.outcome in ('unpriced')\n",
    ),
    in_function(
        "a batch without any price is taken for charged",
        "settle_usage_columns",
        "usage.credits is null or array_position(usage.credits, null) is not null",
        "array_position(usage.credits, null) is not null",
    ),
    in_function(
        "open events are numbered by key",
        "apply_settlement",
        "(partition by final.org_id order by final.pos)",
        "(partition by final.org_id order by final.event_key)",
    ),
]

#: Credits that come in later.
FUNDING = [
    in_function(
        "funding begins with the latest events",
        "fund_open_usage",
        "        order by open_no\n",
        "        order by open_no desc\n",
    ),
    in_function(
        "funding is done after one step",
        "fund_open_usage",
        "case when examined = p_limit then last_no end",
        "null",
    ),
    in_function(
        "funding begins anew at each step",
        "fund_open_usage",
        "outcome = 'unfunded' and open_no > first_no",
        "outcome = 'unfunded' and open_no > 0",
    ),
    in_function(
        "a top-up does not mark the organization",
        "request_funding",
        "where org_id = p_org_id and unfunded_credits > 0;",
        "where false;",
    ),
    in_function(
        "the first entry of a funded event is not reversed",
        "record_funding",
        "case when step.reverses then -event.credits else event.credits end",
        "case when step.reverses then 0 else event.credits end",
    ),
    in_function(
        "a reversal carries the allocation of today",
        "record_funding",
        "case when step.reverses then latest.allocation_id else event.allocation_id end",
        "event.allocation_id",
    ),
    in_function(
        "a funded event is charged to the period in which it was recorded",
        "record_funding",
        "case when step.reverses then latest.period_no else event.period_no end",
        "latest.period_no",
    ),
    in_function(
        "a funded event stays open",
        "record_funding",
        "    where open.org_id = event.org_id and open.event_key = event.event_key\n",
        "    where false and open.org_id = event.org_id and open.event_key = event.event_key\n",
    ),
    in_function(
        "funding does not use the allocation",
        "record_funding",
        "set used_credits = allocation.used_credits + taken.credits, updated_at = now()",
        "set used_credits = allocation.used_credits, updated_at = now()",
    ),
]

#: A limit begins anew.
RESETS = [
    in_function("a reset leaves what was used", "reset_allocations", "            used_credits = 0,\n"),
    in_function(
        "a reset begins no period",
        "reset_allocations",
        "set period_no = allocation.period_no + 1,",
        "set period_no = allocation.period_no,",
    ),
    in_function(
        "a reset marks nothing for funding",
        "reset_allocations",
        "where pool.org_id in (select org_id from due) and pool.unfunded_credits > 0",
        "where false",
    ),
    in_function(
        "an allocation taken out is reset",
        "reset_allocations",
        "        where org_id = any (held_orgs) and is_active and next_reset_date <= now()\n",
        "        where org_id = any (held_orgs) and next_reset_date <= now()\n",
    ),
    in_function(
        "a closed organization is reset",
        "reset_allocations",
        "where organization.id = any (held_orgs) and organization.status = 'closed'",
        "where false",
    ),
    in_function(
        "a late reset is followed by another",
        "reset_allocations",
        "next_reset_date(allocation.reset_period, now())",
        "next_reset_date(allocation.reset_period, allocation.next_reset_date)",
    ),
    in_function(
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
    in_function(
        "pools are locked in any order",
        "lock_pools",
        "        order by pool.org_id\n",
        "        order by random()\n",
    ),
]
