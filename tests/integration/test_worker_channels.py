"""What a worker does when the broker ends its channel, its consumer or its connection, and why it did."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.malformed import body
from tests.running_worker import Ledger, UsageSide, ledger, running_worker, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import Broker, FreshDatabase


@asynccontextmanager
async def impatient(broker: Broker) -> AsyncIterator[None]:
    """A broker that closes a channel whose consumer holds a delivery for over a second, not half an hour."""
    server = broker.server
    await server.evaluate("application:set_env(rabbit, channel_tick_interval, 500).")
    await server.evaluate("application:set_env(rabbit, consumer_timeout, 1000).")
    try:
        yield
    finally:
        await server.evaluate("application:set_env(rabbit, consumer_timeout, 1800000).")
        await server.evaluate("application:set_env(rabbit, channel_tick_interval, 60000).")


async def test_a_worker_whose_channel_was_closed_for_what_it_held_too_long_begins_anew_and_charges_once(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    async with impatient(broker), running_worker(database.dsn, broker.worker_url) as worker:
        await worker.says("consuming")
        async with ledger(database.dsn) as other, other.connection.transaction():
            await other.connection.execute("lock table organization_credit_pools in access exclusive mode")
            await services.publish_batch(body("acme", number) for number in range(10))
            said = await worker.says("not consuming, connecting anew")
            assert "PRECONDITION_FAILED" in str(said["error_text"])
        # Delivered again while the first settlement may still have been under way.
        assert await books.settled(10) == {"charged": 10}
        await until(worker.is_ready, bool)
    assert await services.ready("meter.dead") == 0


async def test_a_worker_that_missed_its_heartbeats_begins_anew_and_charges_once(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    async def connections() -> int:
        answer = await broker.api.get(f"vhosts/{broker.vhost}/connections")
        return sum("worker" in each.get("user", "") for each in answer.json())

    async with running_worker(database.dsn, broker.worker_url) as worker:
        await worker.says("consuming")
        await services.publish_batch(body("acme", number) for number in range(10))
        assert await books.settled(10) == {"charged": 10}
        await until(connections, lambda count: count == 2)
        os.kill(worker.process.pid, signal.SIGSTOP)
        try:
            await services.publish_batch(body("acme", 1_000 + number) for number in range(10))
            # The broker gives it up; what it was sent is to be had again.
            await until(connections, lambda count: count == 0)
        finally:
            os.kill(worker.process.pid, signal.SIGCONT)
        async with asyncio.timeout(10):
            await worker.says("consuming", times=2)
        assert await books.settled(20) == {"charged": 20}
        assert sum(line["event"] == "not consuming, connecting anew" for line in worker.lines) == 1
