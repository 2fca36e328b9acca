"""The private servers: started, stopped, killed, and what they let in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aio_pika
import aiormq
import asyncpg
import pytest

from meter.local.rabbitmq_files import WORKER

if TYPE_CHECKING:
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


async def test_the_well_known_guest_is_not_there(broker: Broker) -> None:
    users = (await broker.api.get("users")).json()
    assert {user["name"] for user in users} == {"operator", "publisher", WORKER.name}
