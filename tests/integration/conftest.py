"""Fixtures of the tests that look at a worker from both sides: what services publish, what the books say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest
from tests.admin_api import AdminClient, admin_api
from tests.running_worker import Ledger, UsageSide, ledger, usage_side

from meter.db.pool import open_pool
from meter.db.settlement import Settlement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import Broker, FreshDatabase, PostgresServers


@pytest.fixture
async def books(database: FreshDatabase) -> AsyncIterator[Ledger]:
    """A fresh ledger with an organization that may spend freely."""
    async with ledger(database.dsn) as opened:
        await opened.add_organization()
        yield opened


@pytest.fixture
async def services(broker: Broker) -> AsyncIterator[UsageSide]:
    """The publishing side of a fresh broker."""
    async with usage_side(broker.operator_url) as side:
        yield side


@pytest.fixture
async def settlement(database: FreshDatabase) -> AsyncIterator[Settlement]:
    """The worker's gateway to a fresh database, with four connections."""
    pool = await open_pool(database.dsn, "meter_worker", max_connections=4)
    yield Settlement(pool)
    await pool.close()


@pytest.fixture
async def owner(database: FreshDatabase) -> AsyncIterator[asyncpg.Connection]:
    """The database's superuser, with one organization that may spend freely, where a file has no other."""
    connection = await asyncpg.connect(database.dsn)
    await connection.execute("select create_organization('acme')")
    await connection.execute("select add_credits_to_pool('acme', 1000000)")
    await connection.execute("select set_pool_terms('acme', p_allocation_required => false)")
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
async def control_plane(
    postgres_servers: PostgresServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[AdminClient]:
    """The control plane over a database of its own; use it through ``with_organizations``."""
    async with (
        postgres_servers.database() as fresh,
        admin_api(fresh.dsn, tmp_path_factory.mktemp("admin")) as client,
    ):
        yield client
