"""What a worker does when something around it breaks: nothing is lost, nothing is charged twice."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import aiormq
from tests.malformed import body
from tests.private_servers import throwaway_folder
from tests.running_worker import Ledger, UsageSide, ledger, running_worker, until
from tests.tcp_proxy import tcp_proxy

from meter.consumers import declare_topology
from meter.db.migrate import migrate
from meter.local.postgres import PostgresServer
from meter.local.postgres_binaries import postgres_bin_dir
from meter.settings import load_settings

if TYPE_CHECKING:
    from tests.private_servers import Broker, FreshDatabase


async def test_a_killed_worker_loses_nothing_and_charges_nothing_twice(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    for start in range(0, 40_000, 200):
        await services.publish_batch(body("acme", start + number) for number in range(200))
    async with running_worker(database.dsn, broker.worker_url) as worker:
        await until(books.outcomes, lambda outcomes: outcomes.get("charged", 0) >= 5_000)
        await worker.kill()
    killed_at = (await books.outcomes())["charged"]
    assert killed_at < 40_000
    async with running_worker(database.dsn, broker.worker_url) as worker:
        assert await books.settled(40_000) == {"charged": 40_000}
        assert await worker.stop() < 10
    assert await services.ready("meter.usage") == 0
    assert await services.ready("meter.dead") == 0
    used = await books.connection.fetchval("select used_credits from organization_credit_pools")
    assert used == 40_000 * 10


async def test_a_stopped_worker_settles_what_it_holds_and_leaves_the_rest_with_the_broker(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    for start in range(0, 60_000, 200):
        await services.publish_batch(body("acme", start + number) for number in range(200))
    async with running_worker(database.dsn, broker.worker_url) as worker:
        await until(books.outcomes, lambda outcomes: outcomes.get("charged", 0) >= 2_000)
        assert await worker.stop() < 10
        assert worker.process.returncode == 0
        await worker.says("worker stopped")
    charged = (await books.outcomes())["charged"]
    # What was settled was acknowledged, what was not is still there: nothing is both or neither.
    assert await services.ready("meter.usage") * 200 == 60_000 - charged
    assert 0 < charged < 60_000


async def test_a_worker_whose_connections_are_cut_begins_anew(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    port = broker.server.ports["amqp"]
    async with (
        tcp_proxy("127.0.0.1", port) as proxy,
        running_worker(database.dsn, broker.worker_url.replace(f":{port}/", f":{proxy.port}/")) as worker,
    ):
        await worker.says("consuming")
        for times in (1, 2, 3):
            await services.publish_batch(body("acme", times * 1_000 + number) for number in range(500))
            proxy.cut()
            await worker.says("consuming", times=times + 1)
        assert await books.settled(1_500) == {"charged": 1_500}
        await until(worker.is_ready, bool)
        assert await worker.metric("meter_reconnects_total") == 3
        assert sum(line["event"] == "not consuming, connecting anew" for line in worker.lines) == 3
        assert worker.unreadable == []
        assert await worker.stop() < 10


async def test_a_worker_says_it_is_not_ready_while_the_broker_is_away(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    port = broker.server.ports["amqp"]
    async with (
        tcp_proxy("127.0.0.1", port) as proxy,
        running_worker(database.dsn, broker.worker_url.replace(f":{port}/", f":{proxy.port}/")) as worker,
    ):
        await worker.says("consuming")
        await proxy.refuse()
        await until(worker.is_ready, lambda ready: not ready)
        checks = (await worker.get("/readyz")).json()["checks"]
        assert checks["consuming"].startswith("not consuming: ")
        assert checks["database"] == checks["schema"] == "ok"
        await proxy.listen()
        await worker.says("consuming", times=2)
        await services.publish_events([body("acme", 1)])
        assert await books.settled(1) == {"charged": 1}


async def test_a_worker_whose_consumer_is_cancelled_by_the_broker_begins_anew(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    async with running_worker(database.dsn, broker.worker_url) as worker:
        await worker.says("consuming")
        await services.publish_events([body("acme", 1)])
        await books.settled(1)
        (await broker.api.delete(f"queues/{broker.vhost}/meter.usage")).raise_for_status()
        said = await worker.says("not consuming, connecting anew")
        assert "cancelled the consumer" in str(said["error_text"])
        async with aiormq.connect(broker.operator_url) as connection:
            await declare_topology(connection)
        await worker.says("consuming", times=2)
        await services.publish_events([body("acme", 2)])
        assert await books.settled(2) == {"charged": 2}


async def test_a_database_that_stops_for_a_while_costs_no_event(broker: Broker, services: UsageSide) -> None:
    with throwaway_folder() as folder:
        server = PostgresServer(folder / "postgres", await postgres_bin_dir(load_settings().cache_dir))
        await server.start()
        try:
            await migrate(server.dsn())
            async with ledger(server.dsn()) as before:
                await before.add_organization()
            async with running_worker(server.dsn(), broker.worker_url) as worker:
                await services.publish_batch(body("acme", number) for number in range(500))
                async with ledger(server.dsn()) as before:
                    await before.settled(500)
                await server.stop()
                await services.publish_batch(body("acme", 1_000 + number) for number in range(500))
                await services.publish_events([b"not json"])
                await worker.says("the database does not settle, trying again")
                assert not await worker.is_ready()
                checks = (await worker.get("/readyz")).json()["checks"]
                assert checks["consuming"] == "ok"
                assert checks["database"].startswith("the database does not settle")
                assert checks["schema"].startswith("the database does not answer")
                await server.start()
                async with ledger(server.dsn()) as after:
                    assert await after.settled(1_000) == {"charged": 1_000}
                await until(worker.is_ready, bool)
                await worker.says("the database settles again")
                (letter,) = await services.dead_letters(1)
                assert letter.body == b"not json"
                said = [line for line in worker.lines if line["event"].startswith("the database")]
                assert len(said) == 2
                assert await worker.stop() < 10
        finally:
            await server.stop()


async def test_a_worker_that_starts_before_the_database_waits_for_it(
    broker: Broker, services: UsageSide
) -> None:
    with throwaway_folder() as folder:
        server = PostgresServer(folder / "postgres", await postgres_bin_dir(load_settings().cache_dir))
        await server.start()
        await server.stop()
        try:
            async with running_worker(server.dsn(), broker.worker_url) as worker:
                await worker.says("waiting for the database")
                assert not await worker.is_ready()
                await server.start()
                await worker.says("waiting for the database", times=2)
                assert "meter migrate" in (await worker.get("/readyz")).json()["checks"]["schema"]
                await migrate(server.dsn())
                await worker.says("consuming")
                await until(worker.is_ready, bool)
        finally:
            await server.stop()


async def test_a_worker_stopped_while_the_database_is_away_ends_in_time_and_loses_nothing(
    broker: Broker, services: UsageSide, database: FreshDatabase, books: Ledger
) -> None:
    await books.connection.execute("alter table credit_usage_attribution rename to taken_away")
    await services.publish_batch(body("acme", number) for number in range(500))
    async with running_worker(database.dsn, broker.worker_url) as worker:
        await worker.says("the database does not settle, trying again")
        assert await worker.stop() < 10
        await worker.says("not everything held could be settled in time; the broker delivers it again")
    assert await services.ready("meter.usage") == 1
    assert await services.ready("meter.dead") == 0


async def test_a_dead_letter_queue_that_was_deleted_is_made_again_by_who_may(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    async with running_worker(database.dsn, broker.operator_url) as worker:
        await worker.says("consuming")
        (await broker.api.delete(f"queues/{broker.vhost}/meter.dead")).raise_for_status()
        await services.publish_events([b"not json", body("acme", 1)])
        assert await books.settled(1) == {"charged": 1}
        await worker.says("dead letter")
        (letter,) = await services.dead_letters(1)
        assert letter.body == b"not json"
        await until(worker.is_ready, bool)


async def test_a_worker_without_a_topology_that_may_not_make_one_says_so(
    database: FreshDatabase, broker: Broker
) -> None:
    async with running_worker(database.dsn, broker.worker_url) as worker:
        said = await worker.says("not consuming, connecting anew")
        assert 'exchange "meter.usage" is missing' in str(said["error_text"])
        assert not await worker.is_ready()
        async with aiormq.connect(broker.operator_url) as connection:
            await declare_topology(connection)
        await worker.says("consuming")
        await until(worker.is_ready, bool)


async def test_a_half_open_connection_to_the_database_is_noticed_and_replaced(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    port = database.server.port
    async with (
        tcp_proxy("127.0.0.1", port) as proxy,
        running_worker(database.dsn.replace(f":{port}/", f":{proxy.port}/"), broker.worker_url) as worker,
    ):
        await services.publish_batch(body("acme", number) for number in range(10))
        await books.settled(10)
        proxy.silence()
        began = time.monotonic()
        await services.publish_batch(body("acme", 1_000 + number) for number in range(10))
        assert await books.settled(20) == {"charged": 20}
        await until(worker.is_ready, bool)
        assert time.monotonic() - began < 10
        assert await worker.stop() < 10


async def test_a_lock_held_by_someone_else_is_waited_for_on_the_same_connection(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    async with running_worker(database.dsn, broker.worker_url) as worker:
        await services.publish_batch(body("acme", number) for number in range(10))
        await books.settled(10)
        async with ledger(database.dsn) as other, other.connection.transaction():
            await other.connection.execute("lock table organization_credit_pools in access exclusive mode")
            await services.publish_batch(body("acme", 1_000 + number) for number in range(10))
            # Longer than it takes to give up a connection that is not worked on.
            waits = "select bool_or(now() - query_start > interval '6 s') from pg_stat_activity"
            await until(lambda: books.connection.fetchval(f"{waits} where wait_event_type = 'Lock'"), bool)
        assert await books.settled(20) == {"charged": 20}
        await worker.says("the database settles again")
        said = [line["event"] for line in worker.lines if line["event"].startswith("the database")]
        # It was waited for, and nothing was tried again.
        assert said == ["the database does not settle, waiting for it", "the database settles again"]


async def test_a_half_open_connection_to_the_broker_is_noticed_and_replaced(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    port = broker.server.ports["amqp"]
    async with (
        tcp_proxy("127.0.0.1", port) as proxy,
        running_worker(database.dsn, broker.worker_url.replace(f":{port}/", f":{proxy.port}/")) as worker,
    ):
        await services.publish_batch(body("acme", number) for number in range(10))
        await books.settled(10)
        proxy.silence()
        began = time.monotonic()
        await worker.says("consuming", times=2)
        assert time.monotonic() - began < 10
        await services.publish_batch(body("acme", 1_000 + number) for number in range(10))
        # The broker misses heartbeats too, and then delivers again what it sent to the connection of before.
        assert await books.settled(20) == {"charged": 20}
        said = [line for line in worker.lines if line["event"] == "not consuming, connecting anew"]
        assert len(said) == 1
        assert "the broker said nothing for 6.5 s" in str(said[0]["error_text"])
        assert await worker.stop() < 10


async def test_sessions_that_began_read_only_are_replaced_by_some_that_may_write(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    name = database.name
    await books.connection.execute(f"alter database {name} set default_transaction_read_only = on")
    async with running_worker(database.dsn, broker.worker_url) as worker:
        await services.publish_batch(body("acme", number) for number in range(10))
        await worker.says("the database does not settle, trying again")
        await books.connection.execute(f"alter database {name} reset default_transaction_read_only")
        assert await books.settled(10) == {"charged": 10}
        await worker.says("the database settles again")
        assert sum(line["event"].startswith("the database") for line in worker.lines) == 2
        assert await worker.stop() < 10
