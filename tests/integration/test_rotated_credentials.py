"""Passwords that change while everything runs: who is connected stays, who comes anew needs the new one."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.malformed import body
from tests.running_worker import Ledger, UsageSide, running_worker, until
from tests.tcp_proxy import tcp_proxy
from tests.usage_queue import usage_queue
from yarl import URL

from meter.local.rabbitmq_files import PUBLISHER, WORKER, permission
from meter.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest
    from tests.private_servers import Broker, FreshDatabase

    from meter.local.rabbitmq_files import BrokerUser


@asynccontextmanager
async def user_like(broker: Broker, user: BrokerUser, url: str) -> AsyncIterator[tuple[URL, str]]:
    """A user of the broker with a name of its own; its address, and its name."""
    name = f"rotated-{secrets.token_hex(4)}"
    await change_password(broker, name, "first")
    granted = await broker.api.put(f"permissions/{broker.vhost}/{name}", json=permission(user))
    granted.raise_for_status()
    try:
        yield URL(url).with_user(name).with_password("first"), name
    finally:
        await broker.api.delete(f"users/{name}")


async def change_password(broker: Broker, name: str, password: str) -> None:
    (await broker.api.put(f"users/{name}", json={"password": password, "tags": ""})).raise_for_status()


async def test_a_worker_takes_the_new_password_of_the_broker_from_its_file(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide, tmp_path: Path
) -> None:
    file = tmp_path / "amqp-url"
    async with (
        user_like(broker, WORKER, broker.worker_url) as (url, name),
        tcp_proxy("127.0.0.1", broker.server.ports["amqp"]) as proxy,
    ):
        file.write_text(f"{url.with_port(proxy.port)}\n")
        async with running_worker(database.dsn, "", amqp_url_file=file) as worker:
            await worker.says("consuming")
            await change_password(broker, name, "second")
            await services.publish_events([body("acme", 1)])
            # Who is connected already stays connected.
            assert await books.settled(1) == {"charged": 1}
            proxy.cut()
            await worker.says("not consuming, connecting anew", times=2)
            assert not await worker.is_ready()
            assert "ACCESS_REFUSED" in (await worker.get("/readyz")).json()["checks"]["consuming"]
            file.write_text(str(url.with_port(proxy.port).with_password("second")))
            await worker.says("consuming", times=2)
            await services.publish_events([body("acme", 2)])
            assert await books.settled(2) == {"charged": 2}
            await until(worker.is_ready, bool)
            # Lost, and refused: however often it was refused.
            assert sum(line["event"] == "not consuming, connecting anew" for line in worker.lines) == 2
            assert "first" not in str(worker.lines)


async def test_a_worker_whose_file_is_gone_says_so_and_goes_on_when_it_is_back(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide, tmp_path: Path
) -> None:
    file = tmp_path / "amqp-url"
    async with tcp_proxy("127.0.0.1", broker.server.ports["amqp"]) as proxy:
        url = str(URL(broker.worker_url).with_port(proxy.port))
        file.write_text(url)
        async with running_worker(database.dsn, "", amqp_url_file=file) as worker:
            await worker.says("consuming")
            file.unlink()
            proxy.cut()
            said = await worker.says("not consuming, connecting anew", times=2)
            assert f"METER_AMQP_URL_FILE names {file}, which cannot be read" in str(said["error_text"])
            file.write_text(url)
            await worker.says("consuming", times=2)


async def test_a_worker_takes_the_new_password_of_the_database_from_its_file(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide, tmp_path: Path
) -> None:
    login = f"rotated_{secrets.token_hex(4)}"
    await books.connection.execute(f"create role {login} login password 'first' in role meter_worker")
    file = tmp_path / "database-url"
    dsn = URL(database.dsn).with_user(login)
    file.write_text(str(dsn.with_password("first")))
    try:
        async with running_worker("", broker.worker_url, database_url_file=file) as worker:
            await services.publish_events([body("acme", 1)])
            assert await books.settled(1) == {"charged": 1}
            await books.connection.execute(f"alter role {login} password 'second'")
            await services.publish_events([body("acme", 2)])
            assert await books.settled(2) == {"charged": 2}
            await books.connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", login
            )
            await services.publish_events([body("acme", 3)])
            await worker.says("the database does not settle, trying again")
            await until(
                lambda: worker.get("/readyz"),
                lambda answer: "password authentication failed" in answer.json()["checks"]["schema"],
            )
            file.write_text(str(dsn.with_password("second")))
            assert await books.settled(3) == {"charged": 3}
            await until(worker.is_ready, bool)
            assert sum(line["event"].startswith("the database") for line in worker.lines) == 2
            assert "first" not in str(worker.lines)
    finally:
        await books.connection.execute(f"drop role {login}")


async def test_a_publisher_asks_for_its_address_before_every_connection(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        user_like(broker, PUBLISHER, broker.publisher_url) as (url, name),
        usage_queue(broker.operator_url) as queue,
        tcp_proxy("127.0.0.1", broker.server.ports["amqp"]) as proxy,
    ):
        told = [str(url.with_port(proxy.port))]
        async with Publisher(lambda: told[0], source="svc") as sender:
            ids = {sender.record("acme", "alice", "llm")}
            assert await sender.flush(30) == 0
            await change_password(broker, name, "second")
            proxy.cut()
            ids.add(sender.record("acme", "alice", "llm"))
            assert await sender.flush(1) == 1
            assert "events are kept" in caplog.text
            told[0] = str(url.with_port(proxy.port).with_password("second"))
            assert await sender.flush(30) == 0
        assert {event.id for event in await queue.events()} == ids
    assert "first" not in caplog.text
