"""What a demo says it did, and the same counted in database and broker without any code of meter's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import aiormq
import asyncpg
from tests.balances import WRONG_BALANCES

from meter.consumers.topology import DEAD_QUEUE, USAGE_QUEUE, queue_depth

if TYPE_CHECKING:
    from uuid import UUID

    from tests.running_stack import RunningStack


@dataclass(frozen=True, slots=True)
class Books:
    """What database and broker hold.

    Attributes:
        rated: credits of the first entries of the demo's organizations, by organization and key.
        outcomes: events and credits of the same, by outcome.
        pools: balances by organization.
        allocations: limit and use by organization and user.
        short: organizations that ran out of something.
        wrong: organizations of which a balance is not the sum of its rows.
        dead_letters: messages in ``meter.dead``.
        waiting: messages in ``meter.usage``.
    """

    rated: dict[tuple[str, UUID], Decimal]
    outcomes: dict[str, tuple[int, Decimal]]
    pools: dict[str, tuple[Decimal, ...]]
    allocations: dict[tuple[str, str], tuple[Decimal, ...]]
    short: set[str]
    wrong: list[str]
    dead_letters: int
    waiting: int


async def books_of(running: RunningStack) -> Books:
    """Count what database and broker of a stack hold."""
    connection = await asyncpg.connect(await running.dsn())
    try:
        entries = await connection.fetch(
            "select org_id, event_key, outcome, credits_used from credit_usage_attribution"
            " where org_id like 'demo-%' and entry = 0"
        )
        pools = await connection.fetch(
            "select org_id, total_credits, used_credits, overage_credits, unfunded_credits, allocated_credits"
            " from organization_credit_pools"
        )
        allocations = await connection.fetch(
            "select org_id, user_id, allocated_credits, used_credits from user_credit_allocations"
        )
        wrong = await connection.fetch(WRONG_BALANCES, [pool["org_id"] for pool in pools])
    finally:
        await connection.close()
    async with aiormq.connect(await running.publisher_url()) as broker:
        channel = await broker.channel()
        dead_letters, waiting = [await queue_depth(channel, name) for name in (DEAD_QUEUE, USAGE_QUEUE)]
    return Books(
        rated={(row["org_id"], row["event_key"]): row["credits_used"] for row in entries},
        outcomes={
            outcome: (len(credits), sum(credits, Decimal(0)))
            for outcome in {row["outcome"] for row in entries}
            if (credits := [row["credits_used"] for row in entries if row["outcome"] == outcome])
        },
        pools={row["org_id"]: tuple(row.values())[1:] for row in pools},
        allocations={(row["org_id"], row["user_id"]): tuple(row.values())[2:] for row in allocations},
        short={row["org_id"] for row in entries if row["outcome"] == "unfunded"},
        wrong=[row["org_id"] for row in wrong],
        dead_letters=dead_letters,
        waiting=waiting,
    )


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures a demo ends with."""

    published: int
    charged: tuple[int, Decimal]
    unfunded: tuple[int, Decimal]
    other: int
    duplicates: int
    dead_letters: int
    events_per_second: int


async def summary_of(running: RunningStack) -> Summary:
    """Wait for the end of the demo of a stack and read its figures."""
    await running.says("^meter goes on running")

    def figures(name: str) -> list[str]:
        line = re.search(rf"^  {name} +(.*)$", running.said, re.MULTILINE)
        assert line, running.said
        return re.findall(r"[\d.]+", line[1].replace(",", ""))

    charged, unfunded = figures("charged"), figures("unfunded")
    return Summary(
        published=int(figures("events published")[0]),
        charged=(int(charged[0]), Decimal(charged[1])),
        unfunded=(int(unfunded[0]), Decimal(unfunded[1])),
        other=int(figures("other outcomes")[0]),
        duplicates=int(figures("duplicates")[0]),
        dead_letters=int(figures("dead letters")[0]),
        events_per_second=int(figures("events per second")[0]),
    )
