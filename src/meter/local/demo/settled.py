"""How far settlement has come: what queue and worker still hold, and what the ledger has."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import urllib.request
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Self

import aiormq
import asyncpg
from prometheus_client.parser import text_string_to_metric_families

from meter.consumers.topology import DEAD_QUEUE, USAGE_QUEUE, queue_depth
from meter.local.demo.trace import ORGANIZATIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from decimal import Decimal

    from aiormq.abc import AbstractChannel

    from meter.local.addresses import Addresses

_WORKER_ANSWERS_SECONDS = 2.0
_LEDGER = files("meter.local") / "sql" / "demo_ledger.sql"


@dataclass(frozen=True, slots=True)
class Ledger:
    """First entries of the trace in the ledger; credits have six decimals."""

    events: int
    charged_events: int
    charged_credits: Decimal
    unfunded_events: int
    unfunded_credits: Decimal

    def minus(self, earlier: Self) -> Ledger:
        """What was recorded since an earlier look."""
        return Ledger(
            self.events - earlier.events,
            self.charged_events - earlier.charged_events,
            self.charged_credits - earlier.charged_credits,
            self.unfunded_events - earlier.unfunded_events,
            self.unfunded_credits - earlier.unfunded_credits,
        )


async def ledger_of(dsn: str, source: str) -> Ledger:
    """Count the demo's events in the ledger.

    Args:
        dsn: the database, as a role that may read the ledger.
        source: the source of the events.

    Returns:
        How many there are, and what they came to.
    """
    connection = await asyncpg.connect(dsn)
    try:
        row = await connection.fetchrow(_LEDGER.read_text("utf-8"), list(ORGANIZATIONS), source)
    finally:
        await connection.close()
    return Ledger(**row)


class UsageBacklog:
    """What is published and not settled yet."""

    def __init__(self, channel: AbstractChannel, worker_url: str) -> None:
        self._channel = channel
        self._worker_url = worker_url

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, addresses: Addresses) -> AsyncIterator[Self]:
        """Look at a running stack while the block runs.

        Args:
            addresses: of the stack.
        """
        connection = await aiormq.connect(addresses.broker.operator)
        try:
            yield cls(await connection.channel(publisher_confirms=False), addresses.worker_url)
        finally:
            await connection.close()

    async def dead_letters(self) -> int:
        """How many dead letters there are."""
        return await queue_depth(self._channel, DEAD_QUEUE)

    async def messages(self) -> int | None:
        """How many messages wait in the queue, at least; None while the worker does not say what it holds."""
        waiting = await queue_depth(self._channel, USAGE_QUEUE)
        held = await asyncio.to_thread(self._held_bytes)
        if held is None:
            return None
        return waiting + (1 if held else 0)

    def _held_bytes(self) -> float | None:
        try:
            with urllib.request.urlopen(  # noqa: S310 - the worker's own address
                f"{self._worker_url}/metrics", timeout=_WORKER_ANSWERS_SECONDS
            ) as answer:
                text = answer.read().decode()
        except (OSError, http.client.HTTPException):
            return None
        for family in text_string_to_metric_families(text):
            if family.name == "meter_in_flight_bytes":
                return float(family.samples[0].value)
        return None
