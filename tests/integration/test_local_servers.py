"""The private servers: started, stopped, killed, and what they let in."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from typing import TYPE_CHECKING

import aio_pika
import aiormq
import asyncpg
import psutil
import pytest
from tests.private_servers import processes_in

from meter.consumers import declare_topology
from meter.local.machine import LOOPBACK
from meter.local.postgres import PostgresServer
from meter.local.postgres_binaries import postgres_bin_dir
from meter.local.rabbitmq import RabbitServer
from meter.local.rabbitmq_files import OPERATOR, REPLAYER, WORKER
from meter.local.rabbitmq_source import find_rabbitmq
from meter.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.private_servers import Broker, FreshDatabase, PostgresServers


async def test_a_fresh_database_is_migrated_and_empty(database: FreshDatabase) -> None:
    connection = await asyncpg.connect(database.dsn)
    try:
        assert await connection.fetchval("select count(*) from organizations") == 0
        assert await connection.fetchval("show data_checksums") == "on"
        assert await connection.fetchval("show fsync") == "on"
    finally:
        await connection.close()


@pytest.mark.parametrize("version", [15, 17, 18])
async def test_every_supported_postgresql_takes_the_migrations(
    postgres_servers: PostgresServers, version: int
) -> None:
    async with postgres_servers.database(version) as fresh:
        connection = await asyncpg.connect(fresh.dsn)
        try:
            assert (await connection.fetchval("show server_version_num"))[:2] == str(version)
        finally:
            await connection.close()


async def test_a_publisher_may_publish_usage_and_nothing_else(broker: Broker) -> None:
    async with await aio_pika.connect(broker.operator_url) as connection, connection.channel() as channel:
        await channel.declare_exchange("meter.usage", "topic", durable=True)
    async with await aio_pika.connect(broker.publisher_url) as connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange("meter.usage", ensure=False)
        await exchange.publish(aio_pika.Message(b"{}"), routing_key="acme", mandatory=False)
        with pytest.raises(aiormq.exceptions.ChannelAccessRefused):
            await channel.declare_queue("mine")


async def test_a_worker_may_not_declare_anything(broker: Broker) -> None:
    async with await aio_pika.connect(broker.worker_url) as connection:
        channel = await connection.channel()
        with pytest.raises(aiormq.exceptions.ChannelAccessRefused):
            await channel.declare_exchange("meter.usage", "topic", durable=True)


async def test_who_replays_dead_letters_may_not_take_usage(broker: Broker) -> None:
    async with aiormq.connect(broker.operator_url) as connection:
        await declare_topology(connection)
    async with aiormq.connect(broker.server.url(REPLAYER, broker.vhost)) as connection:
        channel = await connection.channel()
        with pytest.raises(aiormq.exceptions.ChannelAccessRefused):
            await channel.basic_get("meter.usage")


async def test_the_well_known_guest_is_not_there(broker: Broker) -> None:
    users = (await broker.api.get("users")).json()
    assert {user["name"] for user in users} == {"operator", "publisher", WORKER.name, REPLAYER.name}


@pytest.fixture
async def own_postgres(servers_folder: Path) -> AsyncIterator[PostgresServer]:
    """A PostgreSQL that the test may kill."""
    folder = servers_folder / "postgres-of-one-test"
    server = PostgresServer(folder, await postgres_bin_dir(load_settings().cache_dir))
    await server.start()
    yield server
    await server.stop()
    await asyncio.to_thread(shutil.rmtree, folder)


async def write(server: PostgresServer, note: str) -> None:
    connection = await asyncpg.connect(server.dsn())
    try:
        await connection.execute("create table if not exists notes (note text)")
        await connection.execute("insert into notes values ($1)", note)
    finally:
        await connection.close()


async def read(server: PostgresServer) -> list[str]:
    connection = await asyncpg.connect(server.dsn())
    try:
        return [row["note"] for row in await connection.fetch("select note from notes order by note")]
    finally:
        await connection.close()


async def test_a_killed_postgresql_comes_back_with_what_was_committed(own_postgres: PostgresServer) -> None:
    await write(own_postgres, "before")
    port = own_postgres.port
    assert own_postgres.child.pid is not None
    os.kill(own_postgres.child.pid, signal.SIGKILL)
    await own_postgres.child.wait()
    await own_postgres.restart()
    assert own_postgres.port == port
    assert await read(own_postgres) == ["before"]


async def test_a_lock_of_a_killed_postgresql_whose_number_another_process_has_is_removed(
    own_postgres: PostgresServer,
) -> None:
    await write(own_postgres, "before")
    lock = own_postgres.folder / "data" / "postmaster.pid"
    left_behind = await asyncio.to_thread(lock.read_text)
    await own_postgres.stop()
    numbers = left_behind.splitlines()
    await asyncio.to_thread(lock.write_text, "\n".join([str(os.getpid()), *numbers[1:], ""]))
    await own_postgres.start()
    assert await read(own_postgres) == ["before"]


async def test_a_wrong_password_does_not_get_in(postgres_server: PostgresServer) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(
            host=LOOPBACK, port=postgres_server.port, user="postgres", password="guess", database="postgres"
        )


async def test_rabbitmq_keeps_its_messages_over_a_kill_and_leaves_no_process(servers_folder: Path) -> None:
    folder = servers_folder / "rabbitmq-of-one-test"
    server = RabbitServer(folder, await find_rabbitmq(load_settings().cache_dir, lambda _text, _part: None))
    await server.start()
    try:
        async with await aio_pika.connect(server.url(OPERATOR)) as connection:
            channel = await connection.channel()
            await channel.declare_queue("kept", durable=True, arguments={"x-queue-type": "quorum"})
        # RabbitMQ itself writes down a new queue only within seconds, or when it stops.
        await server.restart()
        async with await aio_pika.connect(server.url(OPERATOR)) as connection:
            channel = await connection.channel()
            await channel.default_exchange.publish(aio_pika.Message(b"kept"), "kept")
        assert server.child.pid is not None
        os.kill(server.child.pid, signal.SIGKILL)
        await server.child.wait()
        await server.restart()
        async with await aio_pika.connect(server.url(OPERATOR)) as connection:
            channel = await connection.channel()
            queue = await channel.get_queue("kept")
            message = await queue.get(timeout=20, fail=True)
            assert message.body == b"kept"
            await message.ack()
    finally:
        await server.stop()
    assert processes_in(folder) == []


async def test_every_port_of_the_servers_is_on_loopback(
    postgres_server: PostgresServer, rabbitmq_server: RabbitServer
) -> None:
    listening = {
        connection.laddr
        for folder in (postgres_server.folder, rabbitmq_server.folder)
        for server in processes_in(folder)
        for connection in server.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert {address.port for address in listening} >= {postgres_server.port, *rabbitmq_server.ports.values()}
    assert {address.ip for address in listening} <= {LOOPBACK, "::1"}
