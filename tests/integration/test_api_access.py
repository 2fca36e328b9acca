"""Who is let in and who sees what, before anything else of a request is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.read_api import AUDIENCE, BASE_PATH, ApiClient, seeded_api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import PostgresServers

SEED = """
select create_organization('acme');
select create_organization('globex');
select add_organization_member('acme', 'olga', 'owner');
select add_organization_member('acme', 'adam', 'admin');
select add_organization_member('acme', 'ann', 'member');
select add_organization_member('acme', 'ben', 'member');
select add_organization_member('globex', 'gus', 'owner');
select add_credits_to_pool('acme', 1000);
select allocate_credits_to_user('acme', 'ann', 500);
select allocate_credits_to_user('acme', 'ben', 500);
select deduct_credits('acme', 'ann', 1, 'llm', p_event_id => 'one');
select deduct_credits('acme', 'ben', 2, 'llm', p_event_id => 'two');
"""

#: Path and query; then the status for: ann (member), adam (admin), olga (owner), gus (a stranger) and
#: root (a system admin who is a member of nothing).
TABLE = [
    ("/credits/acme", {}, [200, 200, 200, 404, 200]),
    ("/credits/acme/allocations", {}, [403, 200, 200, 404, 200]),
    ("/credits/acme/allocations", {"limit": "x"}, [403, 422, 422, 404, 422]),
    ("/credits/acme/events", {}, [200, 200, 200, 404, 200]),
    ("/credits/acme/events", {"user_id": "ann"}, [200, 200, 200, 404, 200]),
    ("/credits/acme/events", {"user_id": "ben"}, [403, 200, 200, 404, 200]),
    ("/credits/acme/events", {"user_id": "ben", "limit": "x"}, [403, 422, 422, 404, 422]),
    ("/credits/acme/events", {"user_id": "ben", "format": "csv"}, [403, 200, 200, 404, 200]),
    ("/credits/acme/usage", {}, [200, 200, 200, 404, 200]),
    ("/credits/acme/usage", {"user_id": "ben"}, [403, 200, 200, 404, 200]),
    ("/credits/acme/usage", {"interval": "x"}, [422, 422, 422, 404, 422]),
    ("/credits/acme/check", {"credits": "1"}, [200, 200, 200, 404, 200]),
    ("/credits/acme/check", {"credits": "1", "user_id": "ben"}, [403, 200, 200, 404, 200]),
    ("/credits/acme/check", {}, [422, 422, 422, 404, 422]),
    ("/credits/user/ann", {}, [200, 403, 403, 403, 200]),
    ("/credits/user/ann", {"limit": "x"}, [422, 403, 403, 403, 422]),
    ("/organizations", {}, [200, 200, 200, 200, 200]),
    ("/organizations/acme/members", {}, [200, 200, 200, 404, 200]),
    ("/credits/nobody", {}, [404, 404, 404, 404, 404]),
    ("/credits/nobody/events", {}, [404, 404, 404, 404, 404]),
    ("/nothing", {}, [404, 404, 404, 404, 404]),
]
CALLERS = [("ann", False), ("adam", False), ("olga", False), ("gus", False), ("root", True)]


@pytest.fixture(scope="module")
async def api(
    postgres_servers: PostgresServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ApiClient]:
    async with seeded_api(postgres_servers, SEED, tmp_path_factory.mktemp("api")) as client:
        yield client


@pytest.mark.parametrize(("path", "query", "statuses"), TABLE)
async def test_each_kind_of_caller_gets_what_the_table_says(
    api: ApiClient, path: str, query: dict[str, str], statuses: list[int]
) -> None:
    got = [(await api.get(path, user, system_admin=admin, **query)).status_code for user, admin in CALLERS]
    assert got == statuses


@pytest.mark.parametrize(
    "path", [*(path for path, _, _ in TABLE), "", "/credits/%00", "/credits/acme?limit=x"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
async def test_without_a_token_everything_is_401(api: ApiClient, method: str, path: str) -> None:
    response = await api.http.request(method, BASE_PATH + path, content=b"{not json")
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="meter"'
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": 1},
        {"exp": None},
        {"aud": "someone-else"},
        {"aud": None},
        {"iss": "https://other.test"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\x00b"},
        {"sub": "\ud800"},
        {"sub": "x" * 256},
        {"nbf": 99_999_999_999},
    ],
)
async def test_a_token_that_does_not_hold_is_401(api: ApiClient, changed: dict[str, object]) -> None:
    token = api.issuer.token("ann", **changed)
    response = await api.http.get(f"{BASE_PATH}/credits/acme", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 401
    assert 'error="invalid_token"' in response.headers["www-authenticate"]
    assert token not in response.text


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer a.b.c", "Basic YTpi", "Bearer " + "x" * 9_000]
)
async def test_what_is_no_token_is_401(api: ApiClient, header: str) -> None:
    response = await api.http.get(f"{BASE_PATH}/credits/acme", headers={"Authorization": header})
    assert response.status_code == 401


async def test_two_authorization_headers_are_401(api: ApiClient) -> None:
    token = f"Bearer {api.issuer.token('ann')}"
    headers = [("Authorization", token), ("Authorization", token)]
    assert (await api.http.get(f"{BASE_PATH}/credits/acme", headers=headers)).status_code == 401


async def test_an_audience_may_be_one_of_several(api: ApiClient) -> None:
    token = api.issuer.token("ann", aud=["other", AUDIENCE])
    headers = {"Authorization": f"bearer {token}"}
    assert (await api.http.get(f"{BASE_PATH}/credits/acme", headers=headers)).status_code == 200


async def test_another_organization_and_an_unknown_one_answer_alike(api: ApiClient) -> None:
    for suffix in ("", "/allocations", "/events", "/usage", "/check?credits=1"):
        other = await api.get("/credits/globex" + suffix, "ann")
        unknown = await api.get("/credits/nobody" + suffix, "ann")
        assert (other.status_code, other.content) == (404, unknown.content)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", ["/credits/acme", "/credits/acme/add", "/subscriptions"])
async def test_every_write_is_405_and_says_where_writes_go(api: ApiClient, method: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {api.issuer.token('olga')}"}
    response = await api.http.request(method, BASE_PATH + path, headers=headers, content=b"{not json")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")
    assert "meter admin" in response.json()["detail"]


async def test_members_see_only_their_own_usage(api: ApiClient) -> None:
    mine = (await api.get("/credits/acme/events", "ann")).json()["items"]
    assert {item["user_id"] for item in mine} == {"ann"}
    everyones = (await api.get("/credits/acme/events", "adam")).json()["items"]
    assert {item["user_id"] for item in everyones} == {"ann", "ben"}
    summary = (await api.get("/credits/acme/usage", "ann")).json()
    assert (summary["user_id"], summary["totals"]["credits"], summary["top_users"]) == ("ann", "1", None)


async def test_organizations_are_the_callers_own_and_all_for_a_system_admin(api: ApiClient) -> None:
    mine = (await api.get("/organizations", "ann")).json()["items"]
    assert [(item["org_id"], item["role"]) for item in mine] == [("acme", "member")]
    every = (await api.get("/organizations", "root", system_admin=True)).json()["items"]
    assert [(item["org_id"], item["role"]) for item in every] == [("acme", None), ("globex", None)]


async def test_members_are_listed_by_user_id(api: ApiClient) -> None:
    first = (await api.get("/organizations/acme/members", "ann", limit=3)).json()
    rest = (await api.get("/organizations/acme/members", "ann", limit=3, cursor=first["next_cursor"])).json()
    listed = [(item["user_id"], item["role"]) for item in first["items"] + rest["items"]]
    assert listed == [("adam", "admin"), ("ann", "member"), ("ben", "member"), ("olga", "owner")]
