"""The disk of the database is full."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.malformed import body
from tests.private_servers import throwaway_folder
from tests.running_worker import UsageSide, ledger, running_worker, until
from tests.small_disk import disks_can_be_made, postgres_on_a_small_disk

from meter.db.migrate import migrate

if TYPE_CHECKING:
    from tests.private_servers import Broker


async def test_a_full_disk_of_the_database_costs_no_event(broker: Broker, services: UsageSide) -> None:
    if not await disks_can_be_made():
        pytest.fail("this machine lets nobody but root make a small disk")
    with throwaway_folder() as folder:
        async with postgres_on_a_small_disk(folder) as (server, disk):
            await migrate(server.dsn())
            async with (
                ledger(server.dsn()) as books,
                running_worker(server.dsn(), broker.worker_url) as worker,
            ):
                await books.add_organization()
                await worker.says("consuming")
                disk.fill()
                for start in range(0, 10_000, 500):
                    await services.publish_batch(body("acme", start + number) for number in range(500))
                said = await worker.says("the database does not settle, trying again")
                assert said["error"] == "DiskFullError"
                assert not await worker.is_ready()
                disk.make_room()
                began = time.monotonic()
                assert await books.settled(10_000) == {"charged": 10_000}
                await worker.says("the database settles again")
                await until(worker.is_ready, bool)
                assert time.monotonic() - began < 10
                assert sum(str(line["event"]).startswith("the database") for line in worker.lines) == 2
                assert await worker.stop() < 10
        assert await services.ready("meter.dead") == 0
