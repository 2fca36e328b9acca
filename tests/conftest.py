"""Fixtures every test may ask for; a server starts when first asked for and stops at the end."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
import structlog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.private_servers import Broker, FreshDatabase, PostgresServers

    from meter.local.postgres import PostgresServer
    from meter.local.rabbitmq import RabbitServer

#: Test files that take a minute or so. Where files run side by side these go first, so that none is left over
#: to run alone at the end.
LONGEST = [
    f"tests/{name}.py"
    for name in (
        "integration/test_settlement_against_model",
        "integration/test_local_stack",
        "integration/test_dead_letters",
        "integration/test_worker_failures",
        "integration/test_stack_first_day",
        "integration/test_poison",
        "integration/test_api_usage_summary",
        "integration/test_database_away",
        "integration/test_stack_demo",
        "integration/test_local_servers",
        "integration/test_api_history",
        "faults/test_faults",
        "integration/test_schemathesis",
        "integration/test_api_exports",
        "faults/test_cluster",
        "integration/test_failover",
    )
]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the longest files begin first."""
    if hasattr(config, "workerinput"):
        places = {name: place for place, name in enumerate(LONGEST)}
        items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


def pytest_collection_finish() -> None:
    """Spare what was collected from the garbage collector: it stays until the end.

    Looked through again and again, it made a test that fills lists take seven times as long.
    """
    gc.freeze()


# By default an error is drawn with all its local variables: a page of the ledger among them takes seconds,
# during which nothing of the test goes on.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """Where the servers of this run live."""
    from tests.private_servers import throwaway_folder  # noqa: PLC0415 - quick tests need no server

    with throwaway_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
async def postgres_servers(servers_folder: Path) -> AsyncIterator[PostgresServers]:
    """PostgreSQL by major version: ``await servers.of(15)``, ``async with servers.database(17)``."""
    from tests.private_servers import PostgresServers  # noqa: PLC0415 - as above

    from meter.settings import load_settings  # noqa: PLC0415 - as above

    servers = PostgresServers(load_settings().cache_dir, servers_folder / "postgres")
    yield servers
    await servers.stop()


@pytest.fixture(scope="session")
async def postgres_server(postgres_servers: PostgresServers) -> PostgresServer:
    """The newest PostgreSQL."""
    return await postgres_servers.of()


@pytest.fixture
async def database(postgres_servers: PostgresServers) -> AsyncIterator[FreshDatabase]:
    """A fresh migrated database of the newest PostgreSQL."""
    async with postgres_servers.database() as fresh:
        yield fresh


@pytest.fixture(scope="session")
async def rabbitmq_server(servers_folder: Path) -> AsyncIterator[RabbitServer]:
    """A private RabbitMQ node."""
    from tests.private_servers import running_rabbitmq  # noqa: PLC0415 - as above

    from meter.settings import load_settings  # noqa: PLC0415 - as above

    async with running_rabbitmq(load_settings().cache_dir, servers_folder / "rabbitmq") as server:
        yield server


@pytest.fixture
async def broker(rabbitmq_server: RabbitServer) -> AsyncIterator[Broker]:
    """A fresh virtual host."""
    from tests.private_servers import fresh_broker  # noqa: PLC0415 - as above

    async with fresh_broker(rabbitmq_server) as fresh:
        yield fresh
