"""All that settlement keeps, as lines of text: of the database and of the model, to be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.balances import WRONG_BALANCES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.settlement_model import Model, Organization

#: The lines of some organizations ($1). A balance that is not the sum of its rows makes a line no model has.
STATE = f"""
select string_agg(line, E'\\n' order by line collate "C")
from (
    select concat_ws(' ', org_id, 'pool', status,
                     (total_credits * 1000000)::bigint, (used_credits * 1000000)::bigint,
                     (available_credits * 1000000)::bigint, (overage_credits * 1000000)::bigint,
                     (overage_billed_credits * 1000000)::bigint,
                     (unfunded_credits * 1000000)::bigint, (allocated_credits * 1000000)::bigint,
                     pending_voids, last_open_no, coalesce(funding_cursor::text, '-')) as line
    from organization_credit_pools join organizations on id = org_id
    where org_id = any ($1)
    union all
    select concat_ws(' ', org_id, 'allocation', user_id, is_active,
                     (allocated_credits * 1000000)::bigint, (used_credits * 1000000)::bigint,
                     (remaining_credits * 1000000)::bigint, period_no, 'resets',
                     (select count(*) from org_billing_history history
                      where history.org_id = allocation.org_id and history.user_id = allocation.user_id
                        and history.event_type = 'allocation_reset'),
                     case when status = 'closed' or next_reset_date is null then '-'
                          when next_reset_date <= now() then 'due' else reset_period end)
    from user_credit_allocations allocation join organizations on organizations.id = org_id
    where org_id = any ($1)
    union all
    select concat_ws(' ', row.org_id, 'entry', event_key, entry, outcome, coalesce(reason::text, '-'),
                     (credits_used * 1000000)::bigint, coalesce(row.user_id, '-'), source,
                     coalesce(allocation.user_id, case when allocation_id is null then '-' else '?' end),
                     coalesce(row.period_no::text, '-'), coalesce(counterpart_key::text, '-'))
    from credit_usage_attribution row
    left join user_credit_allocations allocation
           on allocation.org_id = row.org_id and allocation.id = row.allocation_id
    where row.org_id = any ($1)
    union all
    select concat_ws(' ', org_id, 'open', open_no, outcome, event_key)
    from open_usage_events
    where org_id = any ($1)
    union all
    select concat_ws(' ', org_id, 'pending', target_key, void_key) from pending_voids where org_id = any ($1)
    union all
    select concat_ws(' ', wrong.org_id, 'has a balance that is not the sum of its rows')
    from ({WRONG_BALANCES}) as wrong
) as lines
"""


def state_of(model: Model) -> str:
    """The same lines of the model."""
    return "\n".join(sorted(line for each in model.organizations.values() for line in _lines(each)))


def differences(found: str, expected: str) -> list[str]:
    """The lines that only one of both has."""
    if found == expected:
        return []
    database, model = set(found.split("\n")), set(expected.split("\n"))
    return [f"database: {line}" for line in sorted(database - model)] + [
        f"model: {line}" for line in sorted(model - database)
    ]


def _lines(organization: Organization) -> Iterator[str]:
    org_id = organization.org_id
    allocations = organization.allocations
    allocated = sum(allocation.allocated for allocation in allocations.values() if allocation.active)
    cursor = "-" if organization.cursor is None else organization.cursor
    yield (
        f"{org_id} pool {'closed' if organization.closed else 'active'} {organization.total} "
        f"{organization.used} {organization.available} {organization.overage} "
        f"{organization.overage_billed} {organization.unfunded} {allocated} {len(organization.pending)} "
        f"{organization.last_open_no} {cursor}"
    )
    for user_id, each in allocations.items():
        never = organization.closed or each.reset_period == "never"
        date = "-" if never else "due" if each.due else each.reset_period
        yield (
            f"{org_id} allocation {user_id} {'t' if each.active else 'f'} {each.allocated} {each.used} "
            f"{each.remaining} {each.period_no} resets {each.period_no - 1} {date}"
        )
    for row in organization.ledger:
        yield (
            f"{org_id} entry {row.key} {row.entry} {row.outcome} {row.reason or '-'} {row.credits} "
            f"{row.user_id} {row.source} {row.allocation or '-'} {row.period_no or '-'} "
            f"{row.counterpart or '-'}"
        )
    for open_no, first in organization.open:
        yield f"{org_id} open {open_no} {first.outcome} {first.key}"
    for target, void_key in organization.pending.items():
        yield f"{org_id} pending {target} {void_key}"
