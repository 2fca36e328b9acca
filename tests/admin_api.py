"""The control plane as its tests use it: a client that writes, and checks answers by the contract."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import httpx
from prometheus_client import CollectorRegistry
from tests.read_api import BASE_PATH, Issuer, check_against_contract

from meter.admin.app import AdminApi, build_admin_app
from meter.admin.gateways import Writes
from meter.api.access import Gateways
from meter.api.databases import ReadDatabases
from meter.api.health import checks_of
from meter.api.http_metrics import HttpMetrics
from meter.db.api_keys import ApiKeys, NewApiKey
from meter.db.key_secrets import make_key
from meter.db.reader import ReaderConnections
from meter.db.reading import open_reader
from meter.db.writing import open_writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CONTRACT = AdminApi().openapi()
_DEADLINE_S = 20


class AdminClient:
    """Writes as one user or another; every answer is held to the OpenAPI document."""

    def __init__(self, http: httpx.AsyncClient, issuer: Issuer, owner: asyncpg.Connection, dsn: str) -> None:
        self.http = http
        self.dsn = dsn
        self.issuer = issuer
        #: The database as its superuser sees it.
        self.owner = owner

    def headers(self, as_user: str, *, key: str | None = None, system_admin: bool = False) -> dict[str, str]:
        roles = ["system_admin"] if system_admin else []
        sent = {"Authorization": f"Bearer {self.issuer.token(as_user, roles=roles)}"}
        return sent if key is None else {**sent, "Idempotency-Key": key}

    async def service_headers(self, *scopes: str, org_id: str | None = None) -> dict[str, str]:
        """Make an API key, of an organization or of all, and say it as a service does."""
        made = make_key()
        key = NewApiKey(org_id, "a service", scopes)
        await ApiKeys(self.owner).add(key, made.prefix, made.sha256, actor="test")
        return {"Authorization": f"Bearer {made.key}"}

    async def send(self, path: str, headers: dict[str, str], **content: Any) -> httpx.Response:
        response = await self.http.post(BASE_PATH + path, headers=headers, **content)
        check_against_contract(response, CONTRACT)
        return response

    async def post(
        self, path: str, as_user: str, key: str | None = None, *, system_admin: bool = False, **body: object
    ) -> httpx.Response:
        """Write with a key of its own, or with one that is given."""
        headers = self.headers(as_user, key=key or str(uuid4()), system_admin=system_admin)
        return await self.send(path, headers, json=body)

    async def by_system(self, path: str, key: str | None = None, **body: object) -> httpx.Response:
        """The same as a system admin who is no member."""
        return await self.post(path, "sam", key, system_admin=True, **body)

    @asynccontextmanager
    async def with_organizations(self, seed: str) -> AsyncIterator[AdminClient]:
        """The same while there is what some SQL makes; nothing is left of it."""
        await self.owner.execute(seed)
        try:
            yield self
        finally:
            await self.owner.execute("truncate organizations cascade; truncate credit_usage_attribution")

    async def waiting(self, count: int = 1) -> None:
        """Wait until so many statements wait for a lock of somebody else."""
        async with asyncio.timeout(_DEADLINE_S):
            while count > await self.owner.fetchval(
                """
                select count(*) from pg_stat_activity
                where datname = current_database() and wait_event_type = 'Lock'
                """
            ):
                pass


@asynccontextmanager
async def admin_api(
    dsn: str,
    folder: Path,
    *,
    admins_may_purchase: bool = False,
    anyone_creates_organizations: bool = False,
) -> AsyncIterator[AdminClient]:
    """A client of the app as ``meter admin`` builds it, without a network between them."""
    issuer = Issuer(folder / "jwks.json")
    async with await open_writer(dsn) as writer, await open_reader(dsn) as reader:
        app = build_admin_app(
            Gateways.of(ReadDatabases(ReaderConnections(writer), reader)),
            Writes.through(
                writer,
                admins_may_purchase=admins_may_purchase,
                anyone_creates_organizations=anyone_creates_organizations,
            ),
            issuer.identity(ReaderConnections(writer)),
            HttpMetrics(CollectorRegistry()),
            checks_of(writer),
        )
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        owner = await asyncpg.connect(dsn)
        async with httpx.AsyncClient(transport=transport, base_url="http://meter.test") as http:
            yield AdminClient(http, issuer, owner, dsn)
        await owner.close()
