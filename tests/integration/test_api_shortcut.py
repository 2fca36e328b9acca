"""The short way to what is asked most: whoever takes it is told what FastAPI's way would have told."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from structlog.testing import capture_logs
from tests.read_api import BASE_PATH, Issuer, read_api_app

from meter.api import app as app_module
from meter.db.balances import Balances
from meter.db.refusals import DatabaseNotReachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp
    from tests.private_servers import FreshDatabase

SEED = """
select create_organization('acme'), create_organization('other');
select add_organization_member('acme', 'ann', 'member');
select add_organization_member('acme', 'adam', 'admin');
select add_credits_to_pool('acme', 12.5, 10, 'USD', 'purchase');
select allocate_credits_to_user('acme', 'ann', 9), allocate_credits_to_user('acme', 'adam', 3);
select deduct_credits('acme', 'ann', 1, 'llm'), deduct_credits('acme', 'adam', 2, 'llm');
"""

PERIOD = "from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z"


class BothWays:
    """The same app with the short way and without it."""

    def __init__(self, short: ASGIApp, long: ASGIApp, issuer: Issuer, registry: CollectorRegistry) -> None:
        self._apps = (short, long)
        self.issuer = issuer
        self.registry = registry

    async def ask(
        self, path: str, method: str = "GET", user_id: str | None = "ann", **headers: str
    ) -> list[httpx.Response]:
        if user_id is not None:
            headers["Authorization"] = f"Bearer {self.issuer.token(user_id)}"
        answers = []
        for app in self._apps:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://meter.test") as http:
                answers.append(await http.request(method, BASE_PATH + path, headers=headers))
        return answers


@pytest.fixture
async def ways(database: FreshDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BothWays]:
    connection = await asyncpg.connect(database.dsn)
    await connection.execute(SEED)
    await connection.close()
    issuer = Issuer(tmp_path_factory.mktemp("issuer") / "jwks.json")
    registry = CollectorRegistry()
    async with AsyncExitStack() as apps:
        short = await apps.enter_async_context(read_api_app(database.dsn, issuer, registry))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(app_module, "Shortcut", lambda api: api)
            other = read_api_app(database.dsn, issuer, CollectorRegistry())
            long = await apps.enter_async_context(other)
        yield BothWays(short, long, issuer, registry)


def told(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """All of an answer but what differs from one to the next."""
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    # Seconds until the minute is over: the two were asked one after the other.
    headers["ratelimit"] = headers.get("ratelimit", "").partition(";t=")[0]
    return answer.status_code, answer.content, headers


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/credits/acme", 200),
        ("/credits/acme?limit=7", 200),
        ("/credits/%61cme", 200),
        # No organization is called so; it is not the beginning of /credits/user/{user_id} either.
        ("/credits/user", 404),
        ("/credits/other", 404),
        ("/credits/nobody", 404),
        ("/credits/ac%2Fme", 404),
        ("/credits/a%00b", 404),
        ("/credits/acme/", 404),
        ("/credits/", 404),
        ("/credits", 404),
        ("/credits/acme%0A", 404),
        ("/credits/acme/events", 200),
        ("/credits/acme/events?limit=1&limit=2&unknown=3&unknown=4", 200),
        (f"/credits/acme/events?format=ndjson&{PERIOD}", 200),
        ("/credits/acme/events?user_id=ann", 200),
        ("/credits/acme/events?user_id=adam&limit=none", 403),
        ("/credits/acme/events?limit=none&limit=0&outcome=&cursor=x", 422),
        ("/credits/acme/events?from=2026-01-01T00:00:00+00:00", 422),
        ("/credits/acme/events?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 422),
        ("/credits/acme/events?user_id=" + "x" * 256, 403),
        ("/credits/acme/events/", 404),
        ("/credits/other/events?limit=none", 404),
        # Of a user who is called so, and of another than who asks.
        ("/credits/user/events", 403),
        (f"/credits/acme/usage?{PERIOD}", 200),
        (f"/credits/acme/usage?interval=week&group_by=user_id&{PERIOD}", 200),
        (f"/credits/acme/usage?interval=second&group_by=&{PERIOD}", 422),
        ("/credits/acme/check?credits=2.5", 200),
        ("/credits/acme/check", 422),
        ("/credits/acme/check?credits=NaN", 422),
        ("/credits/acme/check?credits=1&user_id=adam", 403),
        ("/credits/acme/checks", 404),
    ],
)
async def test_both_ways_answer_alike(ways: BothWays, path: str, status: int) -> None:
    short, long = await ways.ask(path)
    assert short.status_code == status
    assert told(short) == told(long)


@pytest.mark.parametrize("path", ["/credits/acme/events?user_id=ann", f"/credits/acme/usage?{PERIOD}"])
async def test_an_admin_is_shown_alike_what_members_are_not(ways: BothWays, path: str) -> None:
    short, long = await ways.ask(path, user_id="adam")
    assert short.status_code == 200
    assert told(short) == told(long)


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
async def test_other_methods_are_refused_alike(ways: BothWays, method: str) -> None:
    short, long = await ways.ask("/credits/acme", method)
    assert short.status_code == 405
    assert told(short) == told(long)


async def test_head_is_answered_alike(ways: BothWays) -> None:
    short, long = await ways.ask("/credits/acme", "HEAD")
    assert short.status_code == 200
    assert told(short) == told(long)


async def test_a_stranger_is_told_401_and_who_knows_the_balance_304(ways: BothWays) -> None:
    strangers = await ways.ask("/credits/acme", user_id=None)
    assert [answer.status_code for answer in strangers] == [401, 401]
    tag = (await ways.ask("/credits/acme"))[0].headers["etag"]
    short, long = await ways.ask("/credits/acme", **{"If-None-Match": tag})
    assert short.status_code == 304
    assert told(short) == told(long)


@pytest.mark.parametrize("rest", ["", "/events", f"/usage?{PERIOD}", "/check?credits=1"])
async def test_a_token_that_is_remembered_opens_nothing_to_who_was_removed(
    ways: BothWays, database: FreshDatabase, rest: str
) -> None:
    token = {"Authorization": f"Bearer {ways.issuer.token('ann')}"}
    before = await ways.ask(f"/credits/acme{rest}", user_id=None, **token)
    connection = await asyncpg.connect(database.dsn)
    await connection.execute("select remove_organization_member('acme', 'ann', 'olga')")
    await connection.close()
    after = await ways.ask(f"/credits/acme{rest}", user_id=None, **token)
    assert [answer.status_code for answer in (*before, *after)] == [200, 200, 404, 404]


async def test_what_goes_wrong_is_the_same_problem(ways: BothWays, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_self: Balances, _org_id: str) -> None:
        raise DatabaseNotReachable("gone")

    monkeypatch.setattr(Balances, "credit_pool", away)
    short, long = await ways.ask("/credits/acme")
    assert short.status_code == 503
    assert told(short) == told(long)


async def test_what_nobody_foresaw_is_500_and_told_once(
    ways: BothWays, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_self: Balances, _org_id: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Balances, "credit_pool", broken)
    with capture_logs() as logs:
        short, long = await ways.ask("/credits/acme")
    assert short.status_code == 500
    assert told(short) == told(long)
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["request failed"] * 2


async def test_it_is_counted_under_the_routes_template(ways: BothWays) -> None:
    await ways.ask("/credits/acme")
    counted = (
        f'meter_http_requests_total{{method="GET",route="{BASE_PATH}/credits/{{org_id}}",status="200"}} 1.0'
    )
    assert counted in generate_latest(ways.registry).decode()
