"""With a replica: balances come from there, who belongs to an organization is asked of the primary."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest
from prometheus_client import CollectorRegistry
from tests.read_api import ApiClient, Issuer

from meter.api.access import Gateways
from meter.api.app import build_app
from meter.api.databases import read_databases
from meter.api.health import checks_of_databases
from meter.api.http_metrics import HttpMetrics
from meter.errors import ConfigurationError
from meter.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import PostgresServers

#: Two databases that differ stand for a primary and a replica that is behind: olga was removed since, and new
#: came.
PRIMARY = """
select create_organization('acme'), add_credits_to_pool('acme', 100);
select add_organization_member('acme', 'ann'), add_organization_member('acme', 'new');
"""
REPLICA = """
select create_organization('acme'), add_credits_to_pool('acme', 90);
select add_organization_member('acme', 'ann'), add_organization_member('acme', 'olga', 'owner');
"""


@asynccontextmanager
async def database(servers: PostgresServers, seed: str) -> AsyncIterator[str]:
    async with servers.database() as fresh:
        connection = await asyncpg.connect(fresh.dsn)
        await connection.execute(seed)
        await connection.close()
        yield fresh.dsn


@pytest.fixture(scope="module")
async def api(
    postgres_servers: PostgresServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ApiClient]:
    issuer, registry = Issuer(tmp_path_factory.mktemp("api") / "jwks.json"), CollectorRegistry()
    async with database(postgres_servers, PRIMARY) as primary, database(postgres_servers, REPLICA) as replica:
        settings = Settings.model_validate({"database_url": primary, "read_database_url": replica})
        async with read_databases(settings) as databases:
            app = build_app(
                Gateways.of(databases),
                issuer.identity(databases.primary, registry),
                HttpMetrics(registry),
                checks_of_databases(databases),
            )
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://meter.test") as http:
                yield ApiClient(http, issuer)


async def test_balances_are_read_from_the_replica(api: ApiClient) -> None:
    pool = (await api.get("/credits/acme", "ann")).json()
    assert pool["total_credits"] == "90"


@pytest.mark.parametrize(
    "path", ["/credits/acme", "/credits/acme/allocations", "/organizations/acme/members"]
)
async def test_who_was_removed_is_out_though_the_replica_does_not_know(api: ApiClient, path: str) -> None:
    assert (await api.get(path, "olga")).status_code == 404
    assert (await api.get("/organizations", "olga")).json()["items"] == []


async def test_who_is_new_sees_nothing_of_the_replica_before_it_knows(api: ApiClient) -> None:
    assert (await api.get("/credits/acme", "new")).status_code == 404


async def test_readiness_asks_both(api: ApiClient) -> None:
    ready = await api.http.get("/readyz")
    assert ready.json() == {"ready": True, "checks": {"database": "ok", "primary": "ok"}}


async def test_a_replica_alone_is_not_enough() -> None:
    settings = Settings.model_validate({"read_database_url": "postgresql://reader@127.0.0.1/meter"})
    with pytest.raises(ConfigurationError, match="METER_DATABASE_URL is not set"):
        async with read_databases(settings):
            pass
