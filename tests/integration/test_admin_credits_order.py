"""The order of refusals of the writes of credits: every caller × every body, against a table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from tests.admin_api import CONTRACT
from tests.read_api import BASE_PATH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.admin_api import AdminClient

SEED = """
select create_organization('acme'), create_organization('globex');
select add_organization_member('acme', 'ann', 'member');
select add_organization_member('acme', 'adam', 'admin');
select add_organization_member('globex', 'gus', 'owner');
select add_credits_to_pool('acme', 1000);
select allocate_credits_to_user('acme', 'ann', 500);
"""
JSON = "application/json"
#: What a caller who may write is answered, by body.
ALLOWED = {
    "none": 422,
    "no JSON": 422,
    "wrong type": 422,
    "of another kind": 415,
    "too large": 413,
    "right": 200,
}
#: What each may do, by route: a status for every body, or one for each.
TABLE: dict[str, dict[str, int | dict[str, int]]] = {
    "/credits/{org_id}/add": {"member": 403, "admin": 403, "system admin": ALLOWED},
    "/credits/{org_id}/reverse": {"member": 403, "admin": 403, "system admin": ALLOWED},
    "/credits/{org_id}/allocate": {"member": 403, "admin": ALLOWED, "system admin": ALLOWED},
    # The organization stands in the body: who may deduct somewhere is told what is wrong with it first.
    "/credits/deduct": {
        "another's owner": 403,
        "member": 403,
        "admin": 403,
        "system admin": 403,
        "key to deduct": ALLOWED,
        "key of another": {**ALLOWED, "right": 404},
    },
}
#: Who is not in the table.
OTHERS = {
    "nobody": 401,
    "expired": 401,
    "wrong audience": 401,
    "another's owner": 404,
    "key of another": 404,
    "key to deduct": 403,
    "key to read": 403,
}
RIGHT: dict[str, dict[str, object]] = {
    "/credits/{org_id}/add": {"credits": 1, "reason": "bonus"},
    "/credits/{org_id}/reverse": {"credits": 1},
    "/credits/{org_id}/allocate": {"user_id": "ann", "credits": 1},
    "/credits/deduct": {"org_id": "acme", "user_id": "ann", "credits": 0, "service_type": "llm"},
}


@pytest.fixture(scope="module")
async def api(control_plane: AdminClient) -> AsyncIterator[AdminClient]:
    async with control_plane.with_organizations(SEED):
        yield control_plane


@pytest.fixture(scope="module")
async def callers(api: AdminClient) -> dict[str, dict[str, str]]:
    """What each kind of caller sends to be known."""

    def person(user_id: str, **changed: object) -> dict[str, str]:
        return {"Authorization": f"Bearer {api.issuer.token(user_id, **changed)}"}

    return {
        "nobody": {},
        "expired": person("adam", exp=1),
        "wrong audience": person("adam", aud="someone-else"),
        "another's owner": person("gus"),
        "member": person("ann"),
        "admin": person("adam"),
        "system admin": person("root", roles=["system_admin"]),
        "key to deduct": await api.service_headers("deduct", org_id="acme"),
        "key to read": await api.service_headers("read", "check", org_id="acme"),
        "key of another": await api.service_headers("read", "check", "deduct", org_id="globex"),
    }


def test_the_table_has_every_write_of_credits() -> None:
    writes = {
        path.removeprefix(BASE_PATH)
        for path, operations in CONTRACT["paths"].items()
        if "credits" in operations.get("post", {}).get("tags", [])
    }
    assert writes == TABLE.keys() == RIGHT.keys()


@pytest.mark.parametrize("route", TABLE)
async def test_every_caller_is_answered_as_the_table_says(
    api: AdminClient, callers: dict[str, dict[str, str]], route: str
) -> None:
    expected = {
        caller: status if isinstance(status, dict) else dict.fromkeys(ALLOWED, status)
        for caller, status in {**OTHERS, **TABLE[route]}.items()
    }
    assert expected.keys() == callers.keys()
    path = route.replace("{org_id}", "acme")
    found = {
        caller: {name: await answered(api, path, sent, *body) for name, body in bodies(route).items()}
        for caller, sent in callers.items()
    }
    assert found == expected


@pytest.mark.parametrize("route", [route for route in TABLE if "{org_id}" in route])
async def test_an_unknown_organization_is_404_to_everyone_who_is_known(
    api: AdminClient, callers: dict[str, dict[str, str]], route: str
) -> None:
    path = route.replace("{org_id}", "nowhere")
    known = [caller for caller in callers if OTHERS.get(caller) != 401]
    for caller in known:
        for name, body in bodies(route).items():
            assert await answered(api, path, callers[caller], *body) == 404, (caller, name)


def bodies(route: str) -> dict[str, tuple[str | None, bytes]]:
    """Every kind of body, each with its content type."""
    right = json.dumps(RIGHT[route]).encode()
    return {
        "none": (None, b""),
        "no JSON": (JSON, b"{not json"),
        "wrong type": (JSON, b'{"credits": []}'),
        "of another kind": ("text/plain", right),
        "too large": (JSON, right + b" " * 70_000),
        "right": (JSON, right),
    }


async def answered(
    api: AdminClient, path: str, sent: dict[str, str], content_type: str | None, body: bytes
) -> int:
    headers = {**sent, "Idempotency-Key": str(uuid4())}
    if content_type is not None:
        headers["Content-Type"] = content_type
    return (await api.send(path, headers, content=body)).status_code
