"""The order of refusals: every route × every kind of caller × every kind of body, against a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest
from tests.read_api import BASE_PATH, ApiClient, read_api

from meter.api.app import ReadApi
from meter.db.api_keys import ApiKeys, NewApiKey
from meter.db.key_secrets import make_key
from meter.db.pool import open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import FreshDatabase, PostgresServers

SEED = """
select create_organization('acme'), create_organization('globex');
select add_organization_member('acme', 'ann', 'member');
select add_organization_member('acme', 'adam', 'admin');
select add_organization_member('globex', 'gus', 'owner');
select add_credits_to_pool('acme', 1000);
select allocate_credits_to_user('acme', 'ann', 500);
"""
#: None of these may be looked at, or even read, by what only reads.
BODIES: list[tuple[str, bytes | None]] = [
    ("application/json", None),
    ("application/json", b"{not json"),
    ("application/json", b'{"org_id": 7}'),
    ("application/json", b'{"org_id": "acme"}'),
    ("text/plain", b"hello"),
    ("application/json", b"[" * 200_000),
]
STRANGERS = ["nobody", "no token", "expired", "wrong audience", "revoked key"]
#: What each may see, by route; a caller who is not named gets what "others" says.
TABLE: dict[str, dict[str, int]] = {
    "/credits/{org_id}": {"others": 200, "key to deduct": 403},
    "/credits/{org_id}/allocations": {"others": 200, "member": 403, "key to deduct": 403},
    "/credits/{org_id}/events": {"others": 200, "key to deduct": 403},
    "/credits/{org_id}/usage": {"others": 200, "key to deduct": 403},
    # What is checked is missing: only who may ask is told.
    "/credits/{org_id}/check": {"others": 422, "key to deduct": 403, "key to read": 403},
    "/billing/org/{org_id}": {"others": 200, "member": 403, "key to deduct": 403},
    "/billing/{org_id}/history": {"others": 200, "member": 403, "key to deduct": 403},
    "/organizations/{org_id}/members": {"others": 200, "key to deduct": 403},
}
OF_ACME = ["member", "admin", "system admin", "key to deduct", "key to read"]
OF_OTHERS = ["stranger", "key of another"]
ROUTES = sorted(path for path in ReadApi().openapi()["paths"] if path.startswith(BASE_PATH))


class Callers:
    """What each kind of caller sends."""

    def __init__(self, api: ApiClient, keys: dict[str, str]) -> None:
        token = api.issuer.token
        self._sent = {
            "nobody": None,
            "no token": "x.y.z",
            "expired": token("ann", exp=1),
            "wrong audience": token("ann", aud="someone-else"),
            "stranger": token("gus"),
            "member": token("ann"),
            "admin": token("adam"),
            "system admin": token("root", roles=["system_admin"]),
            **keys,
        }
        self._http = api.http

    async def statuses(self, caller: str, method: str, path: str) -> set[int]:
        """What a caller gets, whatever the body is."""
        credential = self._sent[caller]
        sent = {} if credential is None else {"Authorization": f"Bearer {credential}"}
        return {
            (
                await self._http.request(
                    method, path, headers={**sent, "Content-Type": content_type}, content=body
                )
            ).status_code
            for content_type, body in BODIES
        }


@pytest.fixture(scope="module")
async def database(postgres_servers: PostgresServers) -> AsyncIterator[FreshDatabase]:
    async with postgres_servers.database() as fresh:
        connection = await asyncpg.connect(fresh.dsn)
        await connection.execute(SEED)
        await connection.close()
        yield fresh


@pytest.fixture(scope="module")
async def callers(
    database: FreshDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Callers]:
    wanted = {
        "key to deduct": NewApiKey("acme", "deducting", ["deduct"]),
        "key to read": NewApiKey("acme", "reading", ["read"]),
        "key of another": NewApiKey("globex", "another's", ["read", "check", "deduct"]),
        "revoked key": NewApiKey("acme", "revoked", ["read"]),
    }
    keys = {}
    async with await open_pool(database.dsn, "meter_admin", max_connections=1) as admin:
        for kind, key in wanted.items():
            made = make_key()
            await ApiKeys(admin).add(key, made.prefix, made.sha256, actor="test")
            keys[kind] = made.key
            if kind == "revoked key":
                assert await ApiKeys(admin).revoke(made.prefix, actor="test")
    async with read_api(database.dsn, tmp_path_factory.mktemp("api")) as api:
        yield Callers(api, keys)


def test_the_table_names_routes_that_exist() -> None:
    assert {BASE_PATH + route for route in TABLE} <= set(ROUTES)


@pytest.mark.parametrize("route", ROUTES)
async def test_a_stranger_is_told_nothing_but_401(callers: Callers, route: str) -> None:
    for org_id in ("acme", "nobody"):
        path = route.replace("{org_id}", org_id).replace("{user_id}", "ann")
        for method in ("GET", "POST"):
            for stranger in STRANGERS:
                assert await callers.statuses(stranger, method, path) == {401}, (stranger, method)


@pytest.mark.parametrize("route", [route for route in ROUTES if "{org_id}" in route])
async def test_another_organization_is_404_before_anything_else(callers: Callers, route: str) -> None:
    path = route.replace("{org_id}", "acme")
    unknown = route.replace("{org_id}", "nobody")
    for caller in OF_OTHERS:
        assert await callers.statuses(caller, "GET", path) == {404}, caller
    for caller in [*OF_ACME, *OF_OTHERS]:
        assert await callers.statuses(caller, "GET", unknown) == {404}, caller


@pytest.mark.parametrize("route", TABLE)
async def test_who_is_of_the_organization_gets_what_the_table_says(callers: Callers, route: str) -> None:
    path = BASE_PATH + route.replace("{org_id}", "acme")
    for caller in OF_ACME:
        expected = TABLE[route].get(caller, TABLE[route]["others"])
        assert await callers.statuses(caller, "GET", path) == {expected}, caller
        assert await callers.statuses(caller, "POST", path) == {405}, caller
