"""What comes again: answered from the ledger, whatever else is in its batch and whoever settles beside."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import asyncpg
import pytest
from msgspec import structs
from tests.balances import WRONG_BALANCES
from tests.drafted_usage import drafted_usage as event
from tests.lock_waits import waiting_for_locks

from meter.db.outcomes import Outcome

if TYPE_CHECKING:
    from tests.private_servers import FreshDatabase

    from meter.db.settlement import Settlement
    from meter.events import Usage

#: What means something in an array literal, or between the elements of a column that travels as one text.
_ODD_TEXTS = (
    "{}",
    "{a,b}",
    "a,b",
    '"',
    '"a"',
    "\\",
    "\\N",
    "NULL",
    "null",
    " ",
    "\x1e",
    "\x1f",
    "a\x1eb\x1fc",
    "é😀",
)
_TIME = datetime(2026, 1, 1, tzinfo=UTC).isoformat()


async def outcomes(settlement: Settlement, *events: Usage) -> list[str]:
    return [settled.outcome.value for settled in await settlement.settle(events)]


def odd_usage(text: str) -> Usage:
    return event(
        user_id=f"u{text}",
        service_type=f"s{text}",
        service_name=f"n{text}",
        source=f"o{text}",
        id=f"i{text}",
        request_id=f"r{text}",
        metadata={f"k{text}": text},
        credits=1,
        time=_TIME,
    )


def by_hand(usage: Usage) -> dict[str, object]:
    """An event as ``settle_usage`` takes it."""
    return {
        "org_id": usage.org_id,
        "event_key": usage.key,
        "source": usage.source,
        "user_id": usage.user_id,
        "service_type": usage.service_type,
        "quantity": 1,
        "credits": (usage.credits or 0) / 1_000_000,
        "credits_given": True,
        "key_source": "platform",
        "key_source_given": False,
        "metadata": {},
        "occurred_at": usage.time,
    }


async def test_a_replay_is_told_from_conflicts_and_from_what_is_new(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    first, second = event(credits=3), event(user_id="bob", service_type="company_enrichment")
    changed = structs.replace(second, request_id="other")
    assert await outcomes(settlement, first, second) == ["charged", "charged"]
    for _ in range(3):
        assert await outcomes(settlement, second, changed, first, second) == [
            "duplicate",
            "conflict",
            "duplicate",
            "duplicate",
        ]
    new = event(credits=5)
    assert await outcomes(settlement, second, new, changed, new, first) == [
        "duplicate",
        "charged",
        "conflict",
        "duplicate",
        "duplicate",
    ]
    assert await owner.fetchval("select used_credits from organization_credit_pools") == 3 + 50 + 5
    assert await owner.fetch(WRONG_BALANCES, ["acme"]) == []


async def test_a_replay_needs_no_price(settlement: Settlement, owner: asyncpg.Connection) -> None:
    known = [event(service_type="valuation", user_id=name) for name in ("alice", "bob")]
    assert await outcomes(settlement, *known) == ["charged", "charged"]
    assert await outcomes(settlement, *known) == ["duplicate", "duplicate"]
    await owner.execute("update service_prices set credits_per_unit = 1e12 where service_type = 'valuation'")
    assert await outcomes(settlement, *known) == ["duplicate", "duplicate"]
    too_dear = event(service_type="valuation", quantity="99999999999999")
    assert await outcomes(settlement, *known, too_dear) == ["duplicate", "duplicate", "refused"]


@pytest.mark.parametrize("text", _ODD_TEXTS)
async def test_any_text_is_written_and_known_again_as_it_is(
    settlement: Settlement, owner: asyncpg.Connection, text: str
) -> None:
    odd, plain = odd_usage(text), event(credits=1, time=_TIME)
    assert await outcomes(settlement, odd, plain) == ["charged", "charged"]
    for _ in range(3):
        assert await outcomes(settlement, odd, plain) == ["duplicate", "duplicate"]
    changed = structs.replace(odd, service_name=f"{odd.service_name}.")
    assert await outcomes(settlement, changed) == ["conflict"]
    row = await owner.fetchrow("select * from credit_usage_attribution where event_key = $1", odd.key)
    columns = ("user_id", "service_type", "service_name", "source", "event_id", "request_id")
    assert [row[column] for column in columns] == [f"{letter}{text}" for letter in "usnoir"]
    assert json.loads(row["request_metadata"]) == {f"k{text}": text}


async def test_what_others_settle_at_this_moment_is_known_and_the_rest_is_charged_once(
    settlement: Settlement, owner: asyncpg.Connection, database: FreshDatabase
) -> None:
    before, shared, new = event(credits=1), event(user_id="bob", credits=10), event(credits=100)
    assert await outcomes(settlement, before) == ["charged"]
    batch = [by_hand(usage) for usage in (new, shared, before, new, event(credits=1000))]
    other, hand = await asyncpg.connect(database.dsn), await asyncpg.connect(database.dsn)
    async with other.transaction():
        await other.execute("select from organization_credit_pools for update")
        # Writes its row and waits for the pool; the batch finds nothing of it and then waits for that row.
        settling = asyncio.create_task(settlement.settle([shared]))
        await waiting_for_locks(owner)
        beside = asyncio.create_task(hand.fetch("select outcome from settle_usage($1)", json.dumps(batch)))
        await waiting_for_locks(owner, sessions=2)
    assert [settled.outcome for settled in await settling] == [Outcome.CHARGED]
    assert [row["outcome"] for row in await beside] == [
        "charged",
        "duplicate",
        "duplicate",
        "duplicate",
        "charged",
    ]
    await other.close()
    await hand.close()
    assert await owner.fetchval("select used_credits from organization_credit_pools") == 1111
    assert await owner.fetch(WRONG_BALANCES, ["acme"]) == []


async def test_known_usage_is_found_by_its_key_though_the_ledger_was_empty_when_that_was_planned(
    owner: asyncpg.Connection,
) -> None:
    for _ in range(3):
        await owner.fetch("select settle_usage($1)", json.dumps([by_hand(event(credits=1))]))
    await owner.execute("select pg_stat_force_next_flush()")
    scans = await owner.fetch(
        "select indexrelname, idx_scan from pg_stat_user_indexes where relname = 'credit_usage_attribution'"
    )
    assert {row["indexrelname"].rpartition("_")[2] for row in scans if row["idx_scan"]} == {"pkey"}
