"""Balances over HTTP: pool, allocations, whether a charge would be taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest
from tests.read_api import ApiClient, read_api, seeded_api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import PostgresServers

SEED = """
select create_organization('acme');
select create_organization('globex');
select add_organization_member('acme', 'olga', 'owner');
select add_organization_member('acme', 'adam', 'admin');
select add_organization_member('acme', 'ann', 'member');
select add_organization_member('acme', 'a/b@c', 'member');
select add_organization_member('globex', 'ann', 'member');
select add_organization_member('globex', 'gus', 'owner');
select add_credits_to_pool('acme', 1000);
select add_credits_to_pool('globex', 5);
select allocate_credits_to_user('acme', 'ann', 500);
select allocate_credits_to_user('acme', 'a/b@c', 100);
select allocate_credits_to_user('acme', 'left', 1);
select allocate_credits_to_user('globex', 'ann', 5);
select deduct_credits('acme', 'ann', 12.345678, 'llm', p_event_id => 'one');
"""


@pytest.fixture(scope="module")
async def api(
    postgres_servers: PostgresServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ApiClient]:
    async with seeded_api(postgres_servers, SEED, tmp_path_factory.mktemp("api")) as client:
        yield client


async def test_a_member_reads_the_pool_with_decimals_as_strings(api: ApiClient) -> None:
    response = await api.get("/credits/acme", "ann")
    assert response.status_code == 200
    pool = response.json()
    assert pool["org_id"] == "acme"
    assert (pool["total_credits"], pool["used_credits"]) == ("1000", "12.345678")
    assert pool["available_credits"] == "987.654322"
    assert pool["allocated_credits"] == "601"
    assert pool["updated_at"].endswith("Z")
    assert "private" in response.headers["cache-control"]


async def test_an_unchanged_balance_is_answered_304_and_a_changed_one_in_full(
    postgres_servers: PostgresServers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with postgres_servers.database() as fresh:
        connection = await asyncpg.connect(fresh.dsn)
        await connection.execute(SEED)
        async with read_api(fresh.dsn, tmp_path_factory.mktemp("api")) as api:
            etag = (await api.get("/credits/acme", "ann")).headers["etag"]
            for known in (etag, f'"other", {etag}', etag.removeprefix("W/"), "*"):
                again = await api.get("/credits/acme", "adam", headers={"If-None-Match": known})
                assert (again.status_code, again.content) == (304, b"")
                assert again.headers["etag"] == etag
            await connection.execute("select add_credits_to_pool('acme', 0.000001)")
            changed = await api.get("/credits/acme", "ann", headers={"If-None-Match": etag})
            assert changed.status_code == 200
            assert changed.json()["total_credits"] == "1000.000001"
            assert changed.headers["etag"] != etag
        await connection.close()


async def test_admins_page_through_all_allocations(api: ApiClient) -> None:
    first = (await api.get("/credits/acme/allocations", "adam", limit=2)).json()
    assert [item["user_id"] for item in first["items"]] == ["a/b@c", "ann"]
    assert first["items"][1]["remaining_credits"] == "487.654322"
    rest = (await api.get("/credits/acme/allocations", "olga", limit=2, cursor=first["next_cursor"])).json()
    assert [item["user_id"] for item in rest["items"]] == ["left"]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("path", "user_id"), [("/credits/acme/allocations", "adam"), ("/credits/user/ann", "ann")]
)
async def test_an_unchanged_page_of_balances_is_answered_304(api: ApiClient, path: str, user_id: str) -> None:
    first = await api.get(path, user_id)
    assert "private" in first.headers["cache-control"]
    again = await api.get(path, user_id, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    shorter = await api.get(path, user_id, headers={"If-None-Match": first.headers["etag"]}, limit=1)
    assert shorter.status_code == 200


async def test_a_long_answer_comes_in_gzip_and_a_balance_as_it_is(api: ApiClient) -> None:
    pool = await api.get("/credits/acme", "ann", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in pool.headers
    month = {"from_": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}
    packed = await api.get("/credits/acme/usage", "ann", headers={"Accept-Encoding": "gzip"}, **month)
    plain = await api.get("/credits/acme/usage", "ann", headers={"Accept-Encoding": "identity"}, **month)
    assert (packed.headers["content-encoding"], packed.json()) == ("gzip", plain.json())
    assert "content-encoding" not in plain.headers


async def test_a_user_reads_the_credits_in_all_organizations_of_the_user(api: ApiClient) -> None:
    first = (await api.get("/credits/user/ann", "ann", limit=1)).json()
    assert [item["org_id"] for item in first["items"]] == ["acme"]
    assert first["items"][0]["spendable_credits"] == "487.654322"
    rest = (await api.get("/credits/user/ann", "ann", limit=1, cursor=first["next_cursor"])).json()
    assert [(item["org_id"], item["role"]) for item in rest["items"]] == [("globex", "member")]
    assert rest["next_cursor"] is None


async def test_who_is_no_member_any_more_sees_no_pool_of_the_organization(api: ApiClient) -> None:
    assert (await api.get("/credits/user/left", "left")).json() == {"items": [], "next_cursor": None}


async def test_a_percent_encoded_user_id_works(api: ApiClient) -> None:
    response = await api.get("/credits/user/a%2Fb@c", "a/b@c")
    assert response.status_code == 200
    assert [item["allocated_credits"] for item in response.json()["items"]] == ["100"]


@pytest.mark.parametrize(
    ("amount", "sufficient"),
    [
        ("487.654322", True),
        ("487.654323", False),
        ("0", True),
        ("1e2", True),
        ("99999999999999.999999", False),
    ],
)
async def test_a_check_answers_as_a_charge_would(api: ApiClient, amount: str, sufficient: bool) -> None:
    mine = await api.get("/credits/acme/check", "ann", credits=amount)
    assert mine.status_code == 200
    assert (mine.json()["user_id"], mine.json()["sufficient"]) == ("ann", sufficient)
    by_admin = await api.get("/credits/acme/check", "adam", user_id="ann", credits=amount)
    assert by_admin.json() == mine.json()
