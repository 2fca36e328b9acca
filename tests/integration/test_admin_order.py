"""The order in which writes are refused: every route × kind of caller × kind of body, against a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec
import pytest
from tests.admin_api import CONTRACT
from tests.read_api import BASE_PATH, check_against_contract

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.admin_api import AdminClient

SEED = """
select create_organization('acme', p_owner => 'olga'), create_organization('globex', p_owner => 'gus');
select add_organization_member('acme', 'adam', 'admin'), add_organization_member('acme', 'ann', 'member');
select add_credits_to_pool('acme', 1000000), set_pool_terms('acme', p_allocation_required => false);
"""
#: What is wrong with a body, and how that is refused.
WRONG: dict[str, tuple[str, bytes, int]] = {
    "none": ("application/json", b"", 422),
    "not JSON": ("application/json", b"{not json", 422),
    "wrong type": (
        "application/json",
        b'{"org_id": 7, "user_id": 7, "plan": 7, "role": 7, "credits": []}',
        422,
    ),
    "wrong content type": ("text/plain", b"hello", 415),
    "too large": ("application/json", b"[" * 70_000, 413),
}
UNKNOWN = ("nobody", "no token", "expired", "wrong audience", "revoked key")
OTHERS = ("stranger", "owner of another", "key of another")
ADMINS = ("admin", "owner", "system admin")
KEYS = ("key to read", "key to deduct")


@dataclass(frozen=True)
class Route:
    """A route that writes: who may, and what is right to send."""

    method: str
    path: str
    #: None: what is sent is not looked at.
    body: dict[str, object] | None
    may: tuple[str, ...] = ADMINS
    #: What those get who send what is right, one after the other.
    done: tuple[int, ...] = (200,)

    @property
    def names_organization(self) -> bool:
        return "acme" in self.path or "$SUBSCRIPTION" in self.path


ROUTES = [
    Route("POST", "/credits/acme/add", {"credits": "1", "reason": "bonus"}, ("system admin",)),
    Route("POST", "/credits/acme/reverse", {"credits": "1", "reason": "bonus"}, ("system admin",)),
    Route("POST", "/credits/acme/allocate", {"user_id": "ann", "credits": "1"}),
    Route(
        "POST",
        "/credits/deduct",
        {"org_id": "acme", "user_id": "ann", "credits": "1", "service_type": "llm"},
        ("key to deduct",),
    ),
    Route("POST", "/subscriptions", {"org_id": "acme", "plan": "byok"}, done=(409,)),
    Route("PUT", "/subscriptions/$SUBSCRIPTION", {"plan": "hybrid"}),
    Route("DELETE", "/subscriptions/$SUBSCRIPTION", None),
    Route("POST", "/organizations", {"org_id": "new"}, ("system admin",), (201,)),
    Route("POST", "/organizations/acme/members", {"user_id": "eve"}, done=(201, 200, 200)),
    Route("PATCH", "/organizations/acme/members/ann", {"role": "member"}),
    Route("DELETE", "/organizations/acme/members/ann", None, done=(204, 404, 404)),
]


class Callers:
    """Each kind of caller, and the subscription of acme."""

    def __init__(self, api: AdminClient, credentials: dict[str, str | None], subscription: str) -> None:
        self._api = api
        self._credentials = credentials
        self._subscription = subscription
        self.kinds = tuple(credentials)

    async def status(
        self, caller: str, route: Route, content_type: str, body: bytes, org: str = "acme"
    ) -> int:
        """What a caller gets."""
        path = route.path.replace("$SUBSCRIPTION", self._subscription).replace("acme", org)
        headers = {"Content-Type": content_type, "Idempotency-Key": str(uuid4())}
        if self._credentials[caller] is not None:
            headers["Authorization"] = f"Bearer {self._credentials[caller]}"
        response = await self._api.http.request(route.method, BASE_PATH + path, headers=headers, content=body)
        check_against_contract(response, CONTRACT)
        return response.status_code

    async def of_any_body(self, caller: str, route: Route, org: str = "acme") -> set[int]:
        """What a caller gets, whatever is sent."""
        bodies = [(kind, body) for kind, body, _ in WRONG.values()]
        bodies.append(("application/json", msgspec.json.encode(route.body)))
        return {await self.status(caller, route, *sent, org) for sent in bodies}


@pytest.fixture
async def callers(control_plane: AdminClient) -> AsyncIterator[Callers]:
    token = control_plane.issuer.token
    async with control_plane.with_organizations(SEED) as api:
        keys = {
            "key to read": await api.service_headers("read", org_id="acme"),
            "key to deduct": await api.service_headers("deduct", org_id="acme"),
            "key of another": await api.service_headers("read", "check", "deduct", org_id="globex"),
            "revoked key": await api.service_headers("deduct", org_id="acme"),
        }
        credentials: dict[str, str | None] = {
            kind: headers["Authorization"].removeprefix("Bearer ") for kind, headers in keys.items()
        }
        await api.owner.execute(
            "select revoke_api_key($1, 'test')", (credentials["revoked key"] or "").rsplit("_", 1)[0]
        )
        subscription = await api.owner.fetchval("select id from start_subscription('acme', 'platform')")
        credentials |= {
            "nobody": None,
            "no token": "x.y.z",
            "expired": token("olga", exp=1),
            "wrong audience": token("olga", aud="someone-else"),
            "stranger": token("eve"),
            "owner of another": token("gus"),
            "member": token("ann"),
            "admin": token("adam"),
            "owner": token("olga"),
            "system admin": token("root", roles=["system_admin"]),
        }
        yield Callers(api, credentials, str(subscription))


def test_every_route_that_writes_is_in_the_table() -> None:
    written = {
        (method.upper(), path.removeprefix(BASE_PATH))
        for path, operations in CONTRACT["paths"].items()
        for method in operations.keys() - {"get"}
    }
    named = {
        (
            route.method,
            route.path.replace("acme", "{org_id}").replace("$SUBSCRIPTION", "{subscription_id}")
            .replace("members/ann", "members/{user_id}"),
        )
        for route in ROUTES
    }  # fmt: skip
    assert named == written


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_a_write_is_refused_in_the_order_of_the_table(callers: Callers, route: Route) -> None:
    for caller in UNKNOWN:
        assert await callers.of_any_body(caller, route) == {401}, caller
    if route.names_organization:
        for caller in OTHERS:
            assert await callers.of_any_body(caller, route) == {404}, caller
        for caller in (*OTHERS, *ADMINS, *KEYS) if "acme" in route.path else ():
            assert await callers.of_any_body(caller, route, "unknown") == {404}, caller
    for caller in {"member", *ADMINS, *KEYS} - {*route.may}:
        assert await callers.of_any_body(caller, route) == {403}, caller
    if not route.names_organization:
        await _somewhere_else(callers, route)
    await _allowed(callers, route)


async def _somewhere_else(callers: Callers, route: Route) -> None:
    """Who may do it for no organization is 403 unread; for another than this one, 404 once it is read."""
    elsewhere = {"/subscriptions": "owner of another", "/credits/deduct": "key of another"}.get(route.path)
    for caller in {*OTHERS} - {elsewhere}:
        assert await callers.of_any_body(caller, route) == {403}, caller
    if elsewhere is not None:
        for content_type, body, refused in WRONG.values():
            assert await callers.status(elsewhere, route, content_type, body) == refused
        right = msgspec.json.encode(route.body)
        assert await callers.status(elsewhere, route, "application/json", right) == 404


async def _allowed(callers: Callers, route: Route) -> None:
    """Who may do it is told what is wrong with the body, and with none does it."""
    done = route.done if len(route.done) == len(route.may) else route.done * len(route.may)
    for caller, expected in zip(route.may, done, strict=True):
        if route.body is not None:
            for kind, (content_type, body, refused) in WRONG.items():
                assert await callers.status(caller, route, content_type, body) == refused, (caller, kind)
        right = b"" if route.body is None else msgspec.json.encode(route.body)
        assert await callers.status(caller, route, "application/json", right) == expected, caller
