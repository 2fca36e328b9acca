"""What a service would write first for an event: one transaction with an insert and two updates.

Plain ``json``, three short statements. It decides no outcome, checks no balance, prices by a constant and has
no dead letters, so it does less than meter does.
"""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime
from decimal import Decimal
from typing import Any

import asyncpg

from bench.databases import SQL

#: Messages that a handler's service holds at once, and connections it settles them over.
PREFETCH = 100
CONNECTIONS = 20
_INPUT_PRICE = Decimal("0.003")
_OUTPUT_PRICE = Decimal("0.015")


def connections(dsn: str) -> asyncpg.Pool:
    """Make the pool, to be opened as a context."""
    return asyncpg.create_pool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS)


class OneEvent:
    """Settles events one by one, with the clock on them.

    Attributes:
        done: set when so many were settled.
        seconds: from the first delivery to the last commit.
    """

    def __init__(self, pool: asyncpg.Pool, count: int) -> None:
        self._pool = pool
        self._left = count
        self._began = 0.0
        self._insert = (SQL / "plain_insert.sql").read_text()
        self._allocation = (SQL / "plain_allocation.sql").read_text()
        self._balance = (SQL / "plain_balance.sql").read_text()
        self.seconds = 0.0
        self.done = asyncio.Event()

    async def settle(self, event: dict[str, Any]) -> None:
        """Settle an event in a transaction of its own."""
        async with self._pool.acquire() as connection, connection.transaction():
            await self._charge(connection, event)
        self._left -= 1
        if self._left == 0:
            self.seconds = time.perf_counter() - self._began

    def delivered(self) -> None:
        """Start the clock at the first delivery."""
        self._began = self._began or time.perf_counter()

    def acknowledged(self) -> None:
        """Note an acknowledgement, or that the library is about to send it; after the last all is done."""
        if self._left == 0:
            self.done.set()

    async def _charge(self, connection: asyncpg.Connection, event: dict[str, Any]) -> None:
        usage = event["data"]
        metadata = usage["metadata"]
        credits = metadata["input_tokens"] * _INPUT_PRICE + metadata["output_tokens"] * _OUTPUT_PRICE
        org_id, user_id = event["subject"], usage["user_id"]
        inserted = await connection.fetchval(
            self._insert,
            *(org_id, event["id"], event["source"], user_id, datetime.fromisoformat(event["time"]), credits),
            *(usage["service_type"], Decimal(usage["quantity"]), usage["request_id"], json.dumps(metadata)),
        )
        if inserted is None:
            return
        await connection.execute(self._allocation, org_id, user_id, credits)
        await connection.execute(self._balance, org_id, credits)
