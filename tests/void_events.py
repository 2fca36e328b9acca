"""Usage and voids of one organization as bytes and as events, and the books that they are settled in."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import asyncpg
from tests.balances import WRONG_BALANCES

from meter.events import CONTENT_TYPE_EVENT, Event, decode_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from meter.db.outcomes import SettledEvent

NOW = datetime.now(UTC).isoformat()


def body(kind: str, event_id: str, data: dict[str, object], org_id: str = "acme") -> bytes:
    return json.dumps(
        {
            "specversion": "1.0",
            "type": kind,
            "id": event_id,
            "source": "tests",
            "subject": org_id,
            "time": NOW,
            "data": data,
        }
    ).encode()


def usage_body(event_id: str, credits: str = "10") -> bytes:
    return body("meter.usage.v1", event_id, {"user_id": "alice", "service_type": "llm", "credits": credits})


def void_body(target: str, event_id: str | None = None, **more: object) -> bytes:
    named = {"target_source": "tests", "target_id": target, "reason": "a mistake"}
    return body("meter.usage.void.v1", event_id or f"void {target}", named | more)


def read(message: bytes) -> Event:
    (event,) = decode_message(message, CONTENT_TYPE_EVENT).events
    return event


def usage(event_id: str, credits: str = "10") -> Event:
    return read(usage_body(event_id, credits))


def void(target: str, event_id: str | None = None, **more: object) -> Event:
    return read(void_body(target, event_id, **more))


def outcomes(settled: list[SettledEvent]) -> list[str]:
    return [each.reason or each.outcome.value for each in settled]


@asynccontextmanager
async def books_of_acme(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """The database's superuser, and an organization with 100 credits and 50 of overage."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("select create_organization('acme'), add_credits_to_pool('acme', 100)")
    await connection.execute("select set_pool_terms('acme', false, true, 50)")
    yield connection
    await connection.close()


async def pool_of(owner: asyncpg.Connection) -> tuple[int, ...]:
    """Credits used, of overage, billed of it, unfunded; and voids that wait. All are sums of their rows."""
    assert await owner.fetch(WRONG_BALANCES, ["acme"]) == []
    row = await owner.fetchrow(
        "select used_credits, overage_credits, overage_billed_credits, unfunded_credits, pending_voids "
        "from organization_credit_pools"
    )
    return tuple(map(int, row))
