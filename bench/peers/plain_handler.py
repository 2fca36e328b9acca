"""What a service would write first: an aio-pika handler with one transaction per event.

Prefetch 100, a pool of 20 connections, plain ``json``, three short statements. It decides no outcome, checks
no balance, prices by a constant and has no dead letters, so it does less than meter does.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import aio_pika
import asyncpg

from bench.peers.process import AMQP_URL, DATABASE_URL, answer
from bench.stack import SQL
from meter.consumers.topology import USAGE_QUEUE

if TYPE_CHECKING:
    from aio_pika.abc import AbstractIncomingMessage

_PREFETCH = 100
_CONNECTIONS = 20
_INPUT_PRICE = Decimal("0.003")
_OUTPUT_PRICE = Decimal("0.015")


class PlainHandler:
    """Handles one event a message."""

    def __init__(self, pool: asyncpg.Pool, count: int) -> None:
        self._pool = pool
        self._left = count
        self._began = 0.0
        self._insert = (SQL / "plain_insert.sql").read_text()
        self._allocation = (SQL / "plain_allocation.sql").read_text()
        self._balance = (SQL / "plain_balance.sql").read_text()
        self.seconds = 0.0
        self.done = asyncio.Event()

    async def handle(self, message: AbstractIncomingMessage) -> None:
        """Settle the event of a message, then acknowledge it."""
        self._began = self._began or time.perf_counter()
        event = json.loads(message.body)
        async with self._pool.acquire() as connection, connection.transaction():
            await self._settle(connection, event)
        self._left -= 1
        if self._left == 0:
            self.seconds = time.perf_counter() - self._began
        await message.ack()
        if self._left == 0:
            self.done.set()

    async def _settle(self, connection: asyncpg.Connection, event: dict[str, Any]) -> None:
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


async def measure(count: int) -> dict[str, float]:
    """Handle so many messages.

    Returns:
        ``seconds`` from the first delivery to the last commit.
    """
    async with (
        asyncpg.create_pool(os.environ[DATABASE_URL], min_size=_CONNECTIONS, max_size=_CONNECTIONS) as pool,
        await aio_pika.connect(os.environ[AMQP_URL]) as connection,
    ):
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=_PREFETCH)
        queue = await channel.get_queue(USAGE_QUEUE, ensure=False)
        handler = PlainHandler(pool, count)
        await queue.consume(handler.handle)
        await handler.done.wait()
        return {"seconds": handler.seconds}


if __name__ == "__main__":
    answer(measure(int(sys.argv[1])))
