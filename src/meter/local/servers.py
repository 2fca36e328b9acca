"""The database and the broker of a stack: embedded ones, or those that the settings name."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import asyncpg
from aiormq.exceptions import AMQPError

from meter.amqp import BrokerLost
from meter.consumers.topology import declare_topology
from meter.db.migrate import migrate
from meter.local.addresses import BrokerAddresses, DatabaseAddresses
from meter.local.child import ServerNotStarted
from meter.local.logins import make_logins
from meter.local.machine import LOOPBACK
from meter.local.postgres import PostgresServer
from meter.local.postgres_binaries import postgres_bin_dir
from meter.local.rabbitmq import RabbitServer
from meter.local.rabbitmq_files import OPERATOR, PUBLISHER, REPLAYER, WORKER
from meter.local.rabbitmq_source import find_rabbitmq
from meter.local.supervisor import Part
from meter.nodes import connection_to_any
from meter.telemetry import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meter.local.display import Display
    from meter.settings import Settings


class Servers:
    """Database and broker together."""

    def __init__(self, settings: Settings, display: Display) -> None:
        """Nothing is started yet.

        Args:
            settings: where the servers are, or where to keep the embedded ones.
            display: told of the progress.
        """
        self._settings = settings
        self._display = display
        self._postgres: PostgresServer | None = None
        self._rabbitmq: RabbitServer | None = None

    @property
    def database_is_embedded(self) -> bool:
        """Whether this stack runs its own database."""
        return self._settings.database_url is None

    def parts(self) -> list[Part]:
        """What of it runs here and is to be kept running."""
        running: list[Part] = []
        if self._postgres is not None:
            running.append(Part("PostgreSQL", self._postgres.restart, self._postgres.running_child))
        if self._rabbitmq is not None:
            running.append(Part("RabbitMQ", self._rabbitmq.restart, self._rabbitmq.running_child))
        return running

    async def stop(self) -> None:
        """Stop what was started, both at once."""
        async with asyncio.TaskGroup() as stopping:
            for server in (self._postgres, self._rabbitmq):
                if server is not None:
                    stopping.create_task(server.stop())

    async def start_database(self) -> DatabaseAddresses:
        """Start the database where it is embedded, and bring its schema up to date.

        Raises:
            MeterError: it cannot be had; what was started stays for :meth:`stop`.
        """
        settings = self._settings
        if settings.database_url is not None:
            address = settings.database_url.get_secret_value()
            with self._display.phase("schema", "schema is current"), _named("METER_DATABASE_URL"):
                await migrate(address)
            reader = settings.read_database_url
            return DatabaseAddresses(
                address, address, address if reader is None else reader.get_secret_value(), address
            )
        with self._display.phase("PostgreSQL", "PostgreSQL runs") as report:
            report("starting", None)
            bin_dir = await postgres_bin_dir(settings.cache_dir)
            self._postgres = PostgresServer(settings.state_dir / "postgres", bin_dir)
            await self._postgres.start()
        with self._display.phase("schema", "schema is current"):
            await migrate(self._postgres.dsn())
            logins = await make_logins(self._postgres.dsn())
        return DatabaseAddresses(
            owner=self._postgres.dsn(),
            worker=logins["meter_worker"],
            reader=logins["meter_reader"],
            admin=logins["meter_admin"],
        )

    async def start_broker(self) -> BrokerAddresses:
        """Start the broker where it is embedded, and make sure that exchange and queues are there.

        Raises:
            MeterError: it cannot be had; what was started stays for :meth:`stop`.
        """
        settings = self._settings
        if settings.amqp_url is not None:
            address = settings.amqp_url.get_secret_value()
            with _named("METER_AMQP_URL"):
                await _declare(address)
            return BrokerAddresses(address, address, address, address)
        with self._display.phase("RabbitMQ", "RabbitMQ runs") as report:
            binaries = await find_rabbitmq(settings.cache_dir, report)
            report("starting", None)
            self._rabbitmq = RabbitServer(settings.state_dir / "rabbitmq", binaries)
            await self._rabbitmq.start()
            await _declare(self._rabbitmq.url(OPERATOR))
        return BrokerAddresses(
            operator=self._rabbitmq.url(OPERATOR),
            publisher=self._rabbitmq.url(PUBLISHER),
            worker=self._rabbitmq.url(WORKER),
            replayer=self._rabbitmq.url(REPLAYER),
            metrics_url=f"http://{LOOPBACK}:{self._rabbitmq.ports['prometheus']}/metrics",
        )


@contextlib.contextmanager
def _named(variable: str) -> Iterator[None]:
    """Say which setting leads to a server that cannot be used; the address itself holds a password."""
    try:
        yield
    except (
        OSError,
        TimeoutError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        AMQPError,
        BrokerLost,
    ) as error:
        raise ServerNotStarted(f"the server of {variable} cannot be used: {first_line(error)}") from error


async def _declare(url: str) -> None:
    """Declare exchange and queues as the operator, so that the worker need not be allowed to."""
    async with connection_to_any(url, name="meter up") as connection:
        await declare_topology(connection)
