"""Workers and publishers that know several nodes of a broker; here each is a proxy in front of one."""

from __future__ import annotations

import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.malformed import body
from tests.running_worker import Ledger, UsageSide, running_worker, until
from tests.tcp_proxy import TcpProxy, tcp_proxy
from tests.usage_queue import usage_queue
from yarl import URL

from meter.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest
    from tests.private_servers import Broker, FreshDatabase


@asynccontextmanager
async def two_nodes(broker: Broker, url: str) -> AsyncIterator[tuple[list[TcpProxy], str]]:
    """Two ways to a broker, and the addresses of both."""
    port = broker.server.ports["amqp"]
    async with tcp_proxy("127.0.0.1", port) as one, tcp_proxy("127.0.0.1", port) as other:
        yield [one, other], ",".join(url.replace(f":{port}/", f":{proxy.port}/") for proxy in (one, other))


def in_use(proxies: list[TcpProxy]) -> tuple[TcpProxy, TcpProxy]:
    """The one that was connected to, and the other."""
    one, other = proxies
    assert (one.connections > 0) != (other.connections > 0)
    return (one, other) if one.connections else (other, one)


async def test_a_worker_goes_on_over_another_node_when_its_own_is_away(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    async with (
        two_nodes(broker, broker.worker_url) as (proxies, urls),
        running_worker(database.dsn, urls) as worker,
    ):
        await worker.says("consuming")
        used, other = in_use(proxies)
        await used.refuse()
        began = time.monotonic()
        said = await worker.says("consuming", times=2)
        assert time.monotonic() - began < 3
        assert str(said["broker"]).startswith(f"amqp://127.0.0.1:{other.port}/")
        await services.publish_batch(body("acme", number) for number in range(10))
        assert await books.settled(10) == {"charged": 10}
        await until(worker.is_ready, bool)
        assert sum(line["event"] == "not consuming, connecting anew" for line in worker.lines) == 1


async def test_a_worker_gives_a_node_up_in_seconds_that_accepts_but_never_answers(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    async with (
        two_nodes(broker, broker.worker_url) as (proxies, urls),
        running_worker(database.dsn, urls) as worker,
    ):
        await worker.says("consuming")
        used, other = in_use(proxies)
        other.stall()
        used.cut()
        began = time.monotonic()
        said = await worker.says("consuming", times=2)
        assert time.monotonic() - began < 6
        assert str(said["broker"]).startswith(f"amqp://127.0.0.1:{used.port}/")
        assert not [
            line for line in worker.lines if broker.worker_url.split(":")[2].split("@")[0] in str(line)
        ]


async def test_a_worker_without_any_node_says_so_once_a_reason_and_goes_on_with_the_first_that_is_back(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    async with (
        two_nodes(broker, broker.worker_url) as (proxies, urls),
        running_worker(database.dsn, urls) as worker,
    ):
        await worker.says("consuming")
        used, other = in_use(proxies)
        for proxy in proxies:
            await proxy.refuse()
        await until(worker.is_ready, lambda ready: not ready)
        # The connection is lost, then each of the two refuses: again and again, but it is said once.
        await worker.says("not consuming, connecting anew", times=3)
        assert (await worker.get("/readyz")).json()["checks"]["consuming"].startswith("not consuming: ")
        await other.listen()
        await worker.says("consuming", times=2)
        await until(worker.is_ready, bool)
        said = [line for line in worker.lines if line["event"] == "not consuming, connecting anew"]
        assert len(said) == 3
        assert used.connections > 0


async def test_a_publisher_goes_on_over_another_node(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with (
        usage_queue(broker.operator_url) as queue,
        two_nodes(broker, broker.publisher_url) as (proxies, urls),
    ):
        async with Publisher(urls, source="svc") as sender:
            ids = {sender.record("acme", "alice", "llm")}
            assert await sender.flush(30) == 0
            used, other = in_use(proxies)
            await used.refuse()
            ids |= {sender.record("acme", "alice", "llm") for _ in range(100)}
            assert await sender.flush(2) == 0
            assert other.connections == 1
            assert repr(sender).count("amqp://127.0.0.1:") == 2
        assert {event.id for event in await queue.events()} == ids
    assert str(URL(broker.publisher_url).password) not in caplog.text + repr(sender)
    assert f"publishing usage events to amqp://127.0.0.1:{other.port}/" in caplog.text


async def test_a_publisher_gives_a_node_up_in_seconds_that_accepts_but_never_answers(broker: Broker) -> None:
    async with (
        usage_queue(broker.operator_url),
        two_nodes(broker, broker.publisher_url) as (proxies, urls),
        Publisher(urls, source="svc") as sender,
    ):
        assert sender.record("acme", "alice", "llm") is not None
        assert await sender.flush(30) == 0
        used, other = in_use(proxies)
        other.stall()
        used.cut()
        assert sender.record("acme", "alice", "llm") is not None
        began = time.monotonic()
        assert await sender.flush(30) == 0
        assert time.monotonic() - began < 6
        assert other.connections >= 1
