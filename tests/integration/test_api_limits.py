"""How often a caller may ask: counted here or in a real Redis, which may be away."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest
from prometheus_client import CollectorRegistry
from tests.private_redis import running_redis
from tests.private_servers import throwaway_folder
from tests.read_api import BASE_PATH, Issuer, gateways
from tests.tcp_proxy import tcp_proxy

from meter.api.app import build_app
from meter.api.caller_limits import Allowances
from meter.api.health import checks_of
from meter.api.http_metrics import HttpMetrics
from meter.api.rate_limits import RateLimits, rate_limits
from meter.db.api_keys import ApiKeys, NewApiKey
from meter.db.key_secrets import make_key
from meter.db.pool import open_pool
from meter.db.reading import open_reader
from meter.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import FreshDatabase, PostgresServers

MINE = f"{BASE_PATH}/organizations"
FEW = Allowances(reads=3, writes=2, failed_sign_ins=3)
DEADLINE_S = 20


@pytest.fixture(scope="module")
async def database(postgres_servers: PostgresServers) -> AsyncIterator[FreshDatabase]:
    async with postgres_servers.database() as fresh:
        connection = await asyncpg.connect(fresh.dsn)
        await connection.execute("select create_organization('acme')")
        await connection.execute("select add_organization_member('acme', 'ann', 'member')")
        await connection.close()
        yield fresh


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer") / "jwks.json")


@pytest.fixture(scope="module")
async def redis_port() -> AsyncIterator[int]:
    with throwaway_folder() as folder:
        async with running_redis(load_settings().cache_dir, folder) as port:
            yield port


class Limited:
    """An app whose callers may ask a few times."""

    def __init__(self, app: object, issuer: Issuer) -> None:
        self._app = app
        self._issuer = issuer

    async def ask(
        self, user_id: str | None = "ann", path: str = MINE, method: str = "GET", address: str = "192.0.2.1"
    ) -> httpx.Response:
        headers = {} if user_id is None else {"Authorization": f"Bearer {self._issuer.token(user_id)}"}
        return await self.send(headers, path, method, address)

    async def send(
        self,
        headers: dict[str, str],
        path: str = MINE,
        method: str = "GET",
        address: str = "192.0.2.1",
        content: AsyncIterator[bytes] | None = None,
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, client=(address, 1))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://meter.test") as http:
            return await http.request(method, path, headers=headers, content=content)

    async def statuses(self, count: int, **how: str) -> list[int]:
        return [(await self.ask(**how)).status_code for _ in range(count)]


@asynccontextmanager
async def limited(
    database: FreshDatabase, issuer: Issuer, limits: RateLimits | None = None, few: Allowances = FEW
) -> AsyncIterator[Limited]:
    async with await open_reader(database.dsn) as pool:
        identity = issuer.identity(pool, allowances=few, limits=limits)
        app = build_app(gateways(pool), identity, HttpMetrics(CollectorRegistry()), checks_of(pool))
        yield Limited(app, issuer)


async def test_a_caller_who_asks_too_often_is_told_when_to_come_back(
    database: FreshDatabase, issuer: Issuer
) -> None:
    async with limited(database, issuer) as app:
        answers = [await app.ask() for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["ratelimit"].partition(";t=")[0] for answer in answers] == [
            '"reads";r=2',
            '"reads";r=1',
            '"reads";r=0',
            '"reads";r=0',
        ]
        assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"reads";q=3;w=60'}
        refused = answers[-1]
        assert refused.json()["type"] == "urn:meter:problem:too-many-requests"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        # Whatever else is asked; but others may, and writes are counted apart.
        assert await app.statuses(1, path=f"{BASE_PATH}/credits/nobody") == [429]
        assert await app.statuses(1, user_id="ben") == [200]
        assert await app.statuses(3, method="POST") == [405, 405, 429]
        assert await app.statuses(4, user_id="ben", method="DELETE") == [405, 405, 429, 429]


async def test_of_who_asks_too_often_no_body_is_read(database: FreshDatabase, issuer: Issuer) -> None:
    reads = []

    async def body() -> AsyncIterator[bytes]:
        reads.append("read")
        yield b"{}"

    async with limited(database, issuer) as app:
        headers = {"Authorization": f"Bearer {issuer.token('ann')}"}
        statuses = [(await app.send(headers, method="POST", content=body())).status_code for _ in range(3)]
        nobodys = [(await app.send({}, method="POST", content=body())).status_code for _ in range(4)]
    assert (statuses, nobodys, reads) == ([405, 405, 429], [401, 401, 401, 429], [])


async def test_health_is_not_limited(database: FreshDatabase, issuer: Issuer) -> None:
    async with limited(database, issuer) as app:
        for path in ("/livez", "/readyz", "/openapi.json"):
            assert set(await app.statuses(10, path=path)) == {200}


async def test_failures_to_sign_in_are_limited_for_their_address_and_nobody_else(
    database: FreshDatabase, issuer: Issuer
) -> None:
    async with limited(database, issuer) as app:
        bad = [(await app.send({"Authorization": "Bearer a.b.c"})).status_code for _ in range(2)]
        none = [(await app.ask(None)).status_code for _ in range(2)]
        assert bad + none == [401, 401, 401, 429]
        refused = await app.send({"Authorization": f"Bearer mk_12345678_{'x' * 43}"})
        assert (refused.status_code, refused.headers["retry-after"].isdigit()) == (429, True)
        assert await app.statuses(1) == [200]
        assert (await app.ask(None, address="192.0.2.2")).status_code == 401
        # Whoever has one address of an IPv6 network has them all.
        neighbours = [(await app.ask(None, address=f"2001:db8::{n}")).status_code for n in range(4)]
        assert neighbours == [401, 401, 401, 429]
        assert (await app.ask(None, address="2001:db8:0:1::1")).status_code == 401


async def test_an_api_key_may_have_limits_of_its_own(database: FreshDatabase, issuer: Issuer) -> None:
    key = make_key()
    wanted = NewApiKey(None, "busy", ["read"], reads_per_minute=5)
    async with await open_pool(database.dsn, "meter_admin", max_connections=1) as admin:
        await ApiKeys(admin).add(wanted, key.prefix, key.sha256, actor="test")
    async with limited(database, issuer) as app:
        headers = {"Authorization": f"Bearer {key.key}"}
        path = f"{BASE_PATH}/credits/acme"
        reads = [(await app.send(headers, path)).status_code for _ in range(6)]
        writes = [(await app.send(headers, path, "POST")).status_code for _ in range(3)]
    assert reads == [200] * 5 + [429]
    assert writes == [405, 405, 429]


async def test_processes_with_a_redis_count_together(
    database: FreshDatabase, issuer: Issuer, redis_port: int
) -> None:
    url = f"redis://127.0.0.1:{redis_port}/1"
    async with (
        rate_limits(url, CollectorRegistry()) as first,
        rate_limits(url, CollectorRegistry()) as second,
        limited(database, issuer, first) as one,
        limited(database, issuer, second) as other,
    ):
        assert await one.statuses(2) == [200, 200]
        assert await other.statuses(2) == [200, 429]
        assert await one.statuses(1) == [429]
        assert 1 <= int((await one.ask()).headers["retry-after"]) <= 60


@pytest.mark.parametrize("how", ["refuses", "is silent"])
async def test_without_its_redis_everyone_is_let_through_and_counted(
    database: FreshDatabase, issuer: Issuer, redis_port: int, how: str
) -> None:
    registry = CollectorRegistry()
    async with (
        tcp_proxy("127.0.0.1", redis_port) as proxy,
        rate_limits(f"redis://127.0.0.1:{proxy.port}/2", registry) as limits,
        limited(database, issuer, limits) as app,
    ):
        who = how.replace(" ", "-")
        assert "ratelimit" in (await app.ask(who)).headers
        speak = None
        if how == "refuses":
            await proxy.refuse()
        else:
            speak = proxy.stall()
        answers = [await app.ask(who) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200] * 5
        assert not [answer for answer in answers if "ratelimit" in answer.headers]
        assert registry.get_sample_value("meter_rate_limit_unchecked_total") == 5
        if speak is None:
            await proxy.listen()
        else:
            speak.set()
        await counted_again(app, who)


async def counted_again(app: Limited, who: str) -> None:
    """Ask until the answer says how many are left."""
    deadline = time.monotonic() + DEADLINE_S
    while "ratelimit" not in (await app.ask(who)).headers:
        assert time.monotonic() < deadline
        await asyncio.sleep(0)
