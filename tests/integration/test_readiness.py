"""``/readyz`` tells the truth where nothing fails and nobody answers, and so does the log, once each way."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.broker_cluster import running_cluster
from tests.frozen import frozen
from tests.malformed import body
from tests.private_servers import throwaway_folder
from tests.running_worker import Ledger, RunningWorker, UsageSide, ledger, running_worker, until, usage_side

from meter.consumers import USAGE_QUEUE
from meter.db.migrate import migrate
from meter.local.postgres import PostgresServer
from meter.local.postgres_binaries import postgres_bin_dir
from meter.local.rabbitmq_files import OPERATOR, WORKER
from meter.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import Broker, FreshDatabase

_WAITS = "the database does not settle, waiting for it"
_BACK = "the database settles again"
_SILENT = "the broker does not answer, waiting for it"
_SPEAKS = "the broker answers again"
#: Five seconds without an answer; of the broker one is asked for after four quiet ones. A busy machine adds
#: some.
_NOTICED_WITHIN_S = 12.0


async def test_a_worker_says_it_is_not_ready_while_somebody_holds_a_lock_it_needs(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    async with running_worker(database.dsn, broker.worker_url) as worker:
        await worker.says("consuming")
        async with ledger(database.dsn) as other, other.connection.transaction():
            await other.connection.execute("lock table organization_credit_pools in access exclusive mode")
            await services.publish_batch(body("acme", number) for number in range(10))
            await _says_it_is_not_ready(worker, "database", "the database does not settle: it has given no")
        await _is_ready_again(worker, _BACK)
        assert await books.settled(10) == {"charged": 10}
        # One batch waited all the time; nothing was tried again.
        assert _said(worker) == [_WAITS, _BACK]
        assert await worker.metric("meter_settle_seconds_count") == 1


async def test_a_worker_says_it_is_not_ready_while_the_whole_database_is_frozen(
    broker: Broker, services: UsageSide
) -> None:
    async with _own_postgres() as server, running_worker(server.dsn(), broker.worker_url) as worker:
        await services.publish_batch(body("acme", number) for number in range(10))
        async with ledger(server.dsn()) as books:
            await books.settled(10)
        assert server.child.pid is not None
        with frozen(server.child.pid):
            await services.publish_batch(body("acme", 100 + number) for number in range(10))
            await worker.says(_WAITS)
            await _says_it_is_not_ready(worker, "database", "the database does not settle: it has given no")
        await _is_ready_again(worker, _BACK)
        async with ledger(server.dsn()) as books:
            assert await books.settled(20) == {"charged": 20}
        assert _said(worker) == [_WAITS, _BACK]


async def test_a_worker_says_it_is_not_ready_while_the_broker_does_not_answer_though_it_is_connected(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    channels = (
        f"[Channel || Channel <- rabbit_channel:list(),"
        f' rabbit_channel:info(Channel, [vhost]) =:= [{{vhost, <<"{broker.vhost}">>}}]]'
    )
    async with running_worker(database.dsn, broker.worker_url) as worker:
        await worker.says("consuming")
        await until(worker.is_ready, bool)
        # Connections go on, with their heartbeats; whatever is asked on a channel waits.
        stopped = f"Stopped = {channels}, lists:foreach(fun sys:suspend/1, Stopped)"
        held = f'persistent_term:put({{tests, <<"{broker.vhost}">>}}, Stopped)'
        await broker.server.evaluate(f"{stopped}, {held}.")
        await _says_it_is_not_ready(worker, "consuming", "the broker does not answer")
        again = f'persistent_term:get({{tests, <<"{broker.vhost}">>}})'
        await broker.server.evaluate(f"lists:foreach(fun sys:resume/1, {again}).")
        await _is_ready_again(worker, _SPEAKS)
        await services.publish_events([body("acme", 1)])
        assert await books.settled(1) == {"charged": 1}
        assert _said(worker) == [_SILENT, _SPEAKS]


async def test_a_worker_says_it_is_not_ready_on_a_node_cut_off_from_its_cluster_that_has_not_noticed(
    database: FreshDatabase, books: Ledger
) -> None:
    with throwaway_folder() as folder:
        # Its connections last far longer than this test.
        async with running_cluster(load_settings().cache_dir, folder, tick_seconds=60) as cluster:
            async with usage_side(cluster.nodes[0].url(OPERATOR)) as services:
                leader = await cluster.leader(USAGE_QUEUE)
                await services.publish_batch(body("acme", number) for number in range(10))
            node = cluster.nodes[leader]
            async with running_worker(database.dsn, node.url(WORKER)) as worker:
                await books.settled(10)
                await until(worker.is_ready, bool)
                async with cluster.cut_off(leader):
                    await _says_it_is_not_ready(worker, "consuming", "the broker does not answer")
                    assert _said(worker) == [_SILENT]
                await cluster.whole()
                async with usage_side(node.url(OPERATOR)) as services:
                    await services.publish_batch(body("acme", 100 + number) for number in range(10))
                assert await books.settled(20) == {"charged": 20}
                await until(worker.is_ready, bool)


@asynccontextmanager
async def _own_postgres() -> AsyncIterator[PostgresServer]:
    with throwaway_folder() as folder:
        server = PostgresServer(folder / "postgres", await postgres_bin_dir(load_settings().cache_dir))
        await server.start()
        try:
            await migrate(server.dsn())
            async with ledger(server.dsn()) as books:
                await books.add_organization()
            yield server
        finally:
            await server.stop()


async def _says_it_is_not_ready(worker: RunningWorker, check: str, reason: str) -> None:
    began = time.monotonic()
    answer = await until(lambda: worker.get("/readyz"), lambda answer: answer.json()["checks"][check] != "ok")
    assert time.monotonic() - began < _NOTICED_WITHIN_S
    assert answer.status_code == 503
    assert answer.json()["checks"][check].startswith(reason)


async def _is_ready_again(worker: RunningWorker, said: str) -> None:
    began = time.monotonic()
    await worker.says(said)
    await until(worker.is_ready, bool)
    assert time.monotonic() - began < 10


def _said(worker: RunningWorker) -> list[str]:
    """What it said about the database and the broker once it had begun."""
    return [
        line["event"]
        for line in worker.lines
        if str(line["event"]).startswith(("the database", "the broker"))
    ]
