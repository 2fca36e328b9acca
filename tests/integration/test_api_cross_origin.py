"""Pages of other origins: those on the list may call, to all others the API is as silent as ever."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
from prometheus_client import CollectorRegistry
from tests.read_api import BASE_PATH, Issuer, gateways

from meter.api.app import build_app
from meter.api.http_metrics import HttpMetrics
from meter.db.reading import open_reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.private_servers import FreshDatabase

PATH = f"{BASE_PATH}/organizations"
APP = "https://app.test"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,idempotency-key",
}


@asynccontextmanager
async def api(dsn: str, issuer: Issuer, *origins: str) -> AsyncIterator[httpx.AsyncClient]:
    async with await open_reader(dsn) as pool:
        identity = issuer.identity(pool, cors_origins=origins)
        app = build_app(gateways(pool), identity, HttpMetrics(CollectorRegistry()), {})
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://meter.test") as http:
            yield http


async def test_a_page_on_the_list_may_ask_and_read_the_answer(
    database: FreshDatabase, tmp_path: Path
) -> None:
    issuer = Issuer(tmp_path / "jwks.json")
    async with api(database.dsn, issuer, APP, "http://localhost:3000") as http:
        asked = await http.options(PATH, headers={"Origin": APP, **PREFLIGHT})
        assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, APP)
        assert "Authorization" in asked.headers["access-control-allow-headers"]
        assert asked.headers["x-request-id"]
        head = {**PREFLIGHT, "Access-Control-Request-Method": "HEAD"}
        assert (await http.options(PATH, headers={"Origin": APP, **head})).status_code == 200
        headers = {"Origin": APP, "Authorization": f"Bearer {issuer.token('ann')}"}
        answer = await http.get(PATH, headers=headers)
        refused = await http.get(PATH, headers={"Origin": APP})
    assert (answer.status_code, refused.status_code) == (200, 401)
    for response in (answer, refused):
        assert response.headers["access-control-allow-origin"] == APP
        assert "Origin" in response.headers["vary"]
        assert "Retry-After" in response.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in response.headers


async def test_no_other_page_may(database: FreshDatabase, tmp_path: Path) -> None:
    issuer = Issuer(tmp_path / "jwks.json")
    for origins in ((), (APP,)):
        async with api(database.dsn, issuer, *origins) as http:
            for origin in ("https://evil.test", "https://app.test.evil.test", "null", "http://app.test"):
                asked = await http.options(PATH, headers={"Origin": origin, **PREFLIGHT})
                headers = {"Origin": origin, "Authorization": f"Bearer {issuer.token('ann')}"}
                answer = await http.get(PATH, headers=headers)
                assert (asked.status_code, answer.status_code) == (401, 200)
                for response in (asked, answer):
                    assert "access-control-allow-origin" not in response.headers
