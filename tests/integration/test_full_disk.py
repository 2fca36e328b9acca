"""A disk of the database is full: all of it, or only that of its log."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import asyncpg
import pytest
from tests.kept_server import kept
from tests.malformed import body
from tests.private_servers import throwaway_folder
from tests.running_worker import RunningWorker, UsageSide, ledger, running_worker, until
from tests.small_disk import DATA, LOG, disks_can_be_made, postgres_on_small_disks
from tests.standby import execute, fetch

from meter.db.migrate import migrate
from meter.db.reconciliation import Reconciliation

if TYPE_CHECKING:
    from tests.private_servers import Broker

    from meter.local.postgres import PostgresServer

_AWAY = "the database does not settle, trying again"
_BACK = "the database settles again"


@pytest.fixture(autouse=True)
async def disks() -> None:
    if not await disks_can_be_made():
        pytest.fail("this machine lets nobody but root make a small disk")


async def test_a_full_disk_of_the_database_costs_no_event(broker: Broker, services: UsageSide) -> None:
    with throwaway_folder() as folder:
        async with postgres_on_small_disks(folder, {DATA: "160m"}) as (server, disks):
            await migrate(server.dsn())
            async with (
                ledger(server.dsn()) as books,
                running_worker(server.dsn(), broker.worker_url) as worker,
            ):
                await books.add_organization()
                await worker.says("consuming")
                disks[DATA].fill()
                for start in range(0, 10_000, 500):
                    await services.publish_batch(body("acme", start + number) for number in range(500))
                said = await worker.says(_AWAY)
                assert said["error"] == "DiskFullError"
                assert not await worker.is_ready()
                disks[DATA].make_room()
                began = time.monotonic()
                assert await books.settled(10_000) == {"charged": 10_000}
                await _is_ready_again(worker, began)
                assert await worker.stop() < 10
        assert await services.ready("meter.dead") == 0


async def test_a_full_disk_under_the_write_ahead_log_ends_the_database_and_costs_no_event(
    broker: Broker, services: UsageSide
) -> None:
    with throwaway_folder() as folder:
        async with postgres_on_small_disks(folder, {LOG: "160m"}) as (server, disks):
            await migrate(server.dsn())
            async with ledger(server.dsn()) as books:
                await books.add_organization()
            async with kept(server), running_worker(server.dsn(), broker.worker_url) as worker:
                await services.publish_batch(body("acme", number) for number in range(500))
                await until(lambda: _settled(server), lambda settled: settled == 500)
                disks[LOG].fill()
                # The next one that writes needs a new file of the log, and the server goes down with it.
                await execute(server, "select pg_switch_wal()")
                for start in range(1_000, 11_000, 500):
                    await services.publish_batch(body("acme", start + number) for number in range(500))
                await worker.says(_AWAY)
                assert not await worker.is_ready()
                await _cannot_start_either(server)
                disks[LOG].make_room()
                await until(lambda: _answers(server), bool)
                began = time.monotonic()
                await until(lambda: _settled(server), lambda settled: settled == 10_500)
                await _is_ready_again(worker, began)
                assert await worker.stop() < 10
            async with asyncpg.create_pool(server.dsn(), min_size=1, max_size=1) as pool:
                assert await Reconciliation(pool).differences() == []
        assert await services.ready("meter.dead") == 0


async def _is_ready_again(worker: RunningWorker, began: float) -> None:
    await worker.says(_BACK)
    await until(worker.is_ready, bool)
    assert time.monotonic() - began < 10
    said = [line["event"] for line in worker.lines if str(line["event"]).startswith("the database")]
    assert said == [_AWAY, _BACK]


async def _cannot_start_either(server: PostgresServer) -> None:
    """It is down by the log: it was started again for it, and ended again."""
    text = server.child.command.log

    async def ends() -> int:
        return text.read_text().count("shutting down due to startup process failure")

    await until(ends, lambda times: times >= 2)


async def _answers(server: PostgresServer) -> bool:
    with suppress(asyncpg.PostgresError, OSError, TimeoutError):
        return await fetch(server, "select true") is True
    return False


async def _settled(server: PostgresServer) -> int:
    """How many events are in the ledger; a connection that lasted would go down with the server."""
    async with ledger(server.dsn()) as books:
        outcomes = await books.outcomes()
    assert set(outcomes) <= {"charged"}
    return sum(outcomes.values())
