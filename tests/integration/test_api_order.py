"""The order of refusals: every route × every kind of caller × every kind of body, against a table.

401 → 429 → 404 → 403 → 413, 415, 422 → 412 → 409, 402: who may not do something is told so whatever the body
is, and the body is not even read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from tests.admin_api import CONTRACT, admin_api
from tests.read_api import BASE_PATH

from meter.db.api_keys import ApiKeys, NewApiKey
from meter.db.key_secrets import make_key
from meter.db.pool import open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx
    from tests.private_servers import PostgresServers

SEED = """
select create_organization('acme'), create_organization('globex');
select add_organization_member('acme', 'ann', 'member'), add_organization_member('acme', 'adam', 'admin');
select add_organization_member('acme', 'olga', 'owner'), add_organization_member('globex', 'gus', 'owner');
select from add_credits_to_pool('acme', 1000);
select from start_subscription('acme', 'platform');
"""
OK = 200
#: Who may do it for an organization of their own, which is not the one in the body: read, and then not found.
READ = 404

CALLERS = ("member", "admin", "system admin", "stranger", "reading key", "deducting key", "another's key")
STRANGERS = ("nobody", "no token", "expired", "wrong audience", "wrong issuer", "revoked key", "expired key")
_OF_MEMBERS = (OK, OK, OK, 404, OK, 403, 404)
_OF_ADMINS = (403, OK, OK, 404, OK, 403, 404)
_BY_ADMINS = (403, OK, OK, 404, 403, 403, 404)
_BY_SYSTEM = (403, 403, OK, 404, 403, 403, 404)
#: What each kind of caller gets, in the order of CALLERS. Everyone else gets 401.
TABLE = {
    "GET /credits/user/{user_id}": (OK, 403, OK, 403, 403, 403, 403),
    "GET /credits/{org_id}": _OF_MEMBERS,
    "GET /credits/{org_id}/allocations": _OF_ADMINS,
    "GET /credits/{org_id}/check": (OK, OK, OK, 404, 403, 403, 404),
    "GET /credits/{org_id}/events": _OF_MEMBERS,
    "GET /credits/{org_id}/usage": _OF_MEMBERS,
    "GET /billing/user": (OK, OK, OK, OK, 403, 403, 403),
    "GET /billing/system": (403, 403, OK, 403, 403, 403, 403),
    "GET /billing/org/{org_id}": _OF_ADMINS,
    "GET /billing/{org_id}/history": _OF_ADMINS,
    "GET /organizations": (OK, OK, OK, OK, 403, 403, 403),
    "GET /organizations/{org_id}/members": _OF_MEMBERS,
    "GET /subscriptions/org/{org_id}": _OF_MEMBERS,
    "GET /subscriptions/{subscription_id}": _OF_MEMBERS,
    "POST /organizations": (403, 403, OK, 403, 403, 403, 403),
    "POST /organizations/{org_id}/members": _BY_ADMINS,
    "PATCH /organizations/{org_id}/members/{user_id}": _BY_ADMINS,
    "DELETE /organizations/{org_id}/members/{user_id}": _BY_ADMINS,
    "POST /subscriptions": (403, OK, OK, READ, 403, 403, 403),
    "PUT /subscriptions/{subscription_id}": _BY_ADMINS,
    "DELETE /subscriptions/{subscription_id}": _BY_ADMINS,
    "POST /credits/{org_id}/add": _BY_SYSTEM,
    "POST /credits/{org_id}/reverse": _BY_SYSTEM,
    "POST /credits/{org_id}/allocate": _BY_ADMINS,
    "POST /credits/deduct": (403, 403, 403, 403, 403, OK, READ),
}
OPERATIONS = {
    f"{method.upper()} {path.removeprefix(BASE_PATH)}": described
    for path, methods in CONTRACT["paths"].items()
    if path.startswith(BASE_PATH)
    for method, described in methods.items()
}
#: Wrong in itself, whatever the route: and what says so to whoever may know.
WRONG_BODIES = [
    ("application/json", b"", 422),
    ("application/json", b"{not json", 422),
    ("application/json", b"[1]", 422),
    ("application/json", b'{"unknown": 1}', 422),
    ("text/plain", b"hello", 415),
    ("application/json", b'"' + b"x" * 70_000 + b'"', 413),
]


@dataclass
class Sent:
    """A body that tells whether it was read."""

    content: bytes
    read: bool = field(default=False)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.read = True
        yield self.content


class Callers:
    """Every kind of caller, at an app that writes."""

    def __init__(self, http: httpx.AsyncClient, credentials: dict[str, str], subscription_id: str) -> None:
        self._http = http
        self._credentials = credentials
        self._subscription_id = subscription_id

    async def sends(
        self, caller: str, operation: str, media_type: str, body: bytes, *, org_id: str = "acme"
    ) -> tuple[int, bool]:
        """The status that a caller gets, and whether the body was read for it."""
        method, _, route = operation.partition(" ")
        subscription_id = self._subscription_id if org_id == "acme" else str(uuid4())
        path = route.replace("{org_id}", org_id).replace("{subscription_id}", subscription_id)
        whose = "ann" if route.startswith("/credits/user") else "zed"
        headers = {"Content-Type": media_type, "Idempotency-Key": str(uuid4())}
        if caller in self._credentials:
            headers["Authorization"] = f"Bearer {self._credentials[caller]}"
        sent = Sent(body)
        answer = await self._http.request(
            method,
            BASE_PATH + path.replace("{user_id}", whose),
            params={"credits": "1", "user_id": "ann"} if route.endswith("/check") else None,
            headers=headers,
            content=sent,
        )
        return answer.status_code, sent.read


@pytest.fixture(scope="module")
async def callers(
    postgres_servers: PostgresServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Callers]:
    folder = tmp_path_factory.mktemp("api")
    async with postgres_servers.database() as fresh, admin_api(fresh.dsn, folder) as api:
        await api.owner.execute(SEED)
        subscription = await api.owner.fetchval("select id from organization_subscriptions")
        token = api.issuer.token
        credentials = {
            "no token": "x.y.z",
            "expired": token("olga", exp=1),
            "wrong audience": token("olga", aud="someone-else"),
            "wrong issuer": token("olga", iss="https://other.test"),
            "member": token("ann"),
            "admin": token("adam"),
            "system admin": token("root", roles=["system_admin"]),
            "stranger": token("gus"),
        }
        everything = ["read", "check", "deduct"]
        wanted = {
            "reading key": NewApiKey("acme", "reads", ["read"]),
            "deducting key": NewApiKey("acme", "deducts", ["deduct"]),
            "another's key": NewApiKey("globex", "another's", everything),
            "revoked key": NewApiKey(None, "revoked", everything),
            "expired key": NewApiKey(None, "expired", everything),
        }
        async with await open_pool(fresh.dsn, "meter_admin", max_connections=1) as admin:
            for kind, key in wanted.items():
                made = make_key()
                await ApiKeys(admin).add(key, made.prefix, made.sha256, actor="test")
                credentials[kind] = made.key
        await api.owner.execute("update api_keys set revoked_at = now() where name = 'revoked'")
        await api.owner.execute("update api_keys set expires_at = now() where name = 'expired'")
        yield Callers(api.http, credentials, str(subscription))


def test_the_table_has_every_route() -> None:
    assert set(TABLE) == set(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_stranger_is_told_401_whatever_is_sent(callers: Callers, operation: str) -> None:
    for stranger in STRANGERS:
        for media_type, body, _ in WRONG_BODIES:
            for org_id in ("acme", "nobody"):
                got = await callers.sends(stranger, operation, media_type, body, org_id=org_id)
                assert got == (401, False), (stranger, body[:20], org_id)


@pytest.mark.parametrize("operation", TABLE)
async def test_each_caller_gets_what_the_table_says_whatever_is_sent(
    callers: Callers, operation: str
) -> None:
    takes_body = "requestBody" in OPERATIONS[operation]
    for caller, expected in zip(CALLERS, TABLE[operation], strict=True):
        may = expected == OK or (expected == READ and "{" not in operation)
        for media_type, body, wrong in WRONG_BODIES:
            if may and operation.startswith("DELETE"):
                continue
            got = await callers.sends(caller, operation, media_type, body)
            assert got == ((wrong, True) if may and takes_body else (expected, False)), (
                caller,
                body[:20],
            )


@pytest.mark.parametrize(
    "operation",
    [operation for operation in TABLE if "{org_id}" in operation or "{subscription_id}" in operation],
)
async def test_an_organization_that_is_not_there_is_404_to_all_who_are_known(
    callers: Callers, operation: str
) -> None:
    for caller in CALLERS:
        media_type, body, _ = WRONG_BODIES[1]
        got = await callers.sends(caller, operation, media_type, body, org_id="nobody")
        assert got == (404, False), caller


@pytest.mark.parametrize("operation", ["POST /subscriptions", "POST /credits/deduct"])
async def test_an_organization_in_the_body_that_is_anothers_is_404_like_an_unknown_one(
    callers: Callers, operation: str
) -> None:
    right = {
        "POST /subscriptions": b'{"org_id": "%s", "plan": "hybrid", "billing_cycle": "monthly"}',
        "POST /credits/deduct": b'{"org_id": "%s", "user_id": "x", "credits": "1", "service_type": "llm"}',
    }[operation]
    for caller, expected in zip(CALLERS, TABLE[operation], strict=True):
        for org_id in (b"acme", b"nobody"):
            if (org_id, expected) == (b"acme", OK):
                continue
            status, read = await callers.sends(caller, operation, "application/json", right % org_id)
            assert (status, read) == ((403, False) if expected == 403 else (404, True)), (caller, org_id)
