"""The database does not settle, each time for another reason: what a worker says, does and keeps then."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import pytest
from tests.malformed import body
from tests.running_worker import Ledger, RunningWorker, UsageSide, ledger, running_worker, until
from tests.tcp_proxy import TcpProxy, tcp_proxy

from meter.local.logins import make_logins

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import Broker, FreshDatabase

    from meter.local.rabbitmq import RabbitServer

_AWAY = "the database does not settle, trying again"
_BACK = "the database settles again"
_LOST = "not consuming, connecting anew"
_GAVE_BACK = "gave back what was held, not consuming"


@pytest.fixture
async def impatient_broker(rabbitmq_server: RabbitServer, broker: Broker) -> AsyncIterator[Broker]:
    """A broker that waits for an acknowledgement for 2 s, on channels that are opened now."""
    await _be_patient(rabbitmq_server, timeout_ms=2_000, look_ms=500)
    yield broker
    await _be_patient(rabbitmq_server, timeout_ms=1_800_000, look_ms=60_000)


async def test_a_broker_that_loses_patience_while_the_database_is_away_costs_no_event(
    database: FreshDatabase, impatient_broker: Broker, books: Ledger, services: UsageSide
) -> None:
    async with (
        _behind_a_proxy(database) as (proxy, dsn),
        running_worker(dsn, impatient_broker.worker_url) as worker,
    ):
        await worker.says("consuming")
        await proxy.refuse()
        await services.publish_batch(body("acme", number) for number in range(100))
        await worker.says(_AWAY)
        assert "timed out" in str((await worker.says(_LOST))["error_text"])
        # It is delivered again when it can be settled, not over and over until then.
        await until(lambda: services.ready("meter.usage"), lambda ready: ready == 1)
        await _is_not_ready(worker, "consuming", "database")
        await proxy.listen()
        await _settles_within_10_s(worker, books, 100)
        assert _said(worker) == [_AWAY, _LOST, _BACK]
        assert await worker.stop() < 10
    assert await services.ready("meter.dead") == 0


async def test_what_a_worker_holds_for_too_long_goes_to_another_that_can_settle_it(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    async with (
        _behind_a_proxy(database) as (proxy, dsn),
        running_worker(dsn, broker.worker_url, give_back_after_s=1) as cut_off,
    ):
        await cut_off.says("consuming")
        await proxy.refuse()
        await services.publish_batch(body("acme", number) for number in range(100))
        await cut_off.says(_GAVE_BACK)
        await _is_not_ready(cut_off, "consuming", "database")
        async with running_worker(database.dsn, broker.worker_url) as other:
            assert await books.settled(100) == {"charged": 100}
            assert await other.stop() < 10
        await proxy.listen()
        # Though there is nothing left to settle it finds out that it could.
        await cut_off.says("consuming", times=2)
        await until(cut_off.is_ready, bool)
        assert _said(cut_off) == [_AWAY, _GAVE_BACK, _BACK]
        assert await cut_off.stop() < 10


async def test_a_database_full_of_connections_is_waited_for(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    logins = await make_logins(database.dsn)
    async with running_worker(logins["meter_worker"], broker.worker_url) as worker:
        await worker.says("consuming")
        async with AsyncExitStack() as others:
            await until(
                lambda: _crowd_out_workers(others, books, logins["meter_reader"]), lambda left: left == 0
            )
            await services.publish_batch(body("acme", number) for number in range(100))
            assert (await worker.says(_AWAY))["error"] == "TooManyConnectionsError"
            await _is_not_ready(worker, "database")
        await _settles_within_10_s(worker, books, 100)
        assert _said(worker) == [_AWAY, _BACK]
        assert await worker.stop() < 10


@pytest.mark.parametrize("limit", ["lock_timeout", "transaction_timeout"])
async def test_a_timeout_that_an_operator_set_costs_no_event(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide, limit: str
) -> None:
    dsn = (await make_logins(database.dsn))["meter_worker"]
    await books.connection.execute(f"alter database {database.name} set {limit} = '300 ms'")
    async with running_worker(dsn, broker.worker_url) as worker:
        async with _pools_locked(database):
            await services.publish_batch(body("acme", number) for number in range(100))
            await worker.says(_AWAY)
            await _is_not_ready(worker, "database")
        await _settles_within_10_s(worker, books, 100)
        assert _said(worker) == [_AWAY, _BACK]
        assert await worker.stop() < 10


async def test_a_lock_held_for_longer_than_a_statement_may_take_costs_no_event(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    async with running_worker(database.dsn, broker.worker_url, settle_timeout_s=1) as worker:
        async with _pools_locked(database):
            await services.publish_batch(body("acme", number) for number in range(100))
            assert (await worker.says(_AWAY))["error"] == "TimeoutError"
            await _is_not_ready(worker, "database")
        await _settles_within_10_s(worker, books, 100)
        assert _said(worker) == [_AWAY, _BACK]
        assert await worker.stop() < 10


async def _be_patient(server: RabbitServer, *, timeout_ms: int, look_ms: int) -> None:
    await server.evaluate(
        f"application:set_env(rabbit, consumer_timeout, {timeout_ms}),"
        f" application:set_env(rabbit, channel_tick_interval, {look_ms})."
    )


@asynccontextmanager
async def _behind_a_proxy(database: FreshDatabase) -> AsyncIterator[tuple[TcpProxy, str]]:
    port = database.server.port
    async with tcp_proxy("127.0.0.1", port) as proxy:
        yield proxy, database.dsn.replace(f":{port}/", f":{proxy.port}/")


@asynccontextmanager
async def _pools_locked(database: FreshDatabase) -> AsyncIterator[None]:
    async with ledger(database.dsn) as other:
        await other.connection.execute("set transaction_timeout = 0")
        async with other.connection.transaction():
            await other.connection.execute("lock table organization_credit_pools in access exclusive mode")
            yield


async def _crowd_out_workers(others: AsyncExitStack, books: Ledger, dsn: str) -> int:
    """Take every connection that is not kept for superusers; return how many workers still have."""
    left: list[asyncpg.Record] = await books.connection.fetch(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'meter worker'"
    )
    while True:
        try:
            connection = await asyncpg.connect(dsn)
        except asyncpg.TooManyConnectionsError:
            return len(left)
        others.push_async_callback(connection.close)


async def _is_not_ready(worker: RunningWorker, *because_of: str) -> None:
    answer = await worker.get("/readyz")
    assert answer.status_code == 503
    checks = answer.json()["checks"]
    assert all(checks[name] != "ok" for name in because_of), checks


async def _settles_within_10_s(worker: RunningWorker, books: Ledger, events: int) -> None:
    began = time.monotonic()
    assert await books.settled(events) == {"charged": events}
    await worker.says(_BACK)
    await until(worker.is_ready, bool)
    assert time.monotonic() - began < 10


def _said(worker: RunningWorker) -> list[object]:
    """What it said about the database and about not consuming."""
    told = (_AWAY, _BACK, _LOST, _GAVE_BACK)
    return [line["event"] for line in worker.lines if line["event"] in told]
