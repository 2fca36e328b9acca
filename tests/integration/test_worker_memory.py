"""What a worker holds stays within its bounds, whatever is published."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
from tests.malformed import body
from tests.running_worker import RunningWorker, ledger, running_worker, until, usage_side

from meter.events import MESSAGE_MAX_BYTES

if TYPE_CHECKING:
    from tests.private_servers import Broker, FreshDatabase

MIB = 1024 * 1024
BOUND_BYTES = 16 * MIB
LARGE_MESSAGES = 200


async def _last_prefetch(worker: RunningWorker) -> int:
    return [int(str(line["prefetch"])) for line in worker.lines if line["event"] == "prefetch set"][-1]


async def test_messages_of_1_mib_after_tiny_ones_are_held_only_up_to_the_bound(
    database: FreshDatabase, broker: Broker
) -> None:
    async with (
        usage_side(broker.operator_url) as services,
        ledger(database.dsn) as books,
        running_worker(
            database.dsn, broker.worker_url, prefetch_bytes=BOUND_BYTES, log_level="debug"
        ) as worker,
    ):
        await books.add_organization()
        # Tiny messages first: thousands may be delivered before anything is settled.
        await services.publish_events(body("acme", number) for number in range(500))
        await books.settled(500)
        assert (await worker.says("prefetch set", times=2))["prefetch"] == 24_000
        before = await worker.metric("process_resident_memory_bytes")

        holder = await asyncpg.connect(database.dsn)
        held, resident = [], []
        try:
            async with holder.transaction():
                # Nothing can be settled while this lock is held, so everything delivered piles up.
                await holder.execute("lock table organization_credit_pools in access exclusive mode")
                await services.publish_events(
                    body("acme", 1_000 + number).ljust(MESSAGE_MAX_BYTES) for number in range(LARGE_MESSAGES)
                )
                await until(
                    lambda: worker.metric("meter_in_flight_bytes"), lambda size: size > BOUND_BYTES - 2 * MIB
                )
                for _ in range(50):
                    held.append(await worker.metric("meter_in_flight_bytes"))
                    resident.append(await worker.metric("process_resident_memory_bytes"))
        finally:
            await holder.close()

        assert await books.settled(500 + LARGE_MESSAGES) == {"charged": 500 + LARGE_MESSAGES}
        resident.append(await worker.metric("process_resident_memory_bytes"))
        await until(lambda: worker.metric("meter_in_flight_bytes"), lambda size: size == 0)
        assert max(held) <= BOUND_BYTES
        # The bodies, what is read ahead, and what the allocator keeps; without the bound it would be 200 MiB.
        assert max(resident) - before < 4 * BOUND_BYTES
        # In one step or in several: what is seen first can be a few large messages among the tiny ones.
        await until(lambda: _last_prefetch(worker), lambda count: count <= 64)
        assert await worker.stop() < 10
