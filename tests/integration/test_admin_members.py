"""Organizations and their members over HTTP: who may do it, what is answered, what stays."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.admin_api import AdminClient, admin_api
from tests.admin_calls import call, kind_of, untouched

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.private_servers import FreshDatabase, PostgresServers

SEED = """
truncate organizations, purged_organizations cascade;
select create_organization('acme', p_owner => 'olga');
select add_organization_member('acme', 'adam', 'admin');
select add_organization_member('acme', 'ann', 'member');
select create_organization('globex', p_owner => 'gus');
"""
MEMBERS = "/organizations/acme/members"


@pytest.fixture(scope="module")
async def server_database(postgres_servers: PostgresServers) -> AsyncIterator[FreshDatabase]:
    async with postgres_servers.database() as fresh:
        yield fresh


@pytest.fixture(scope="module")
async def api_of_all(
    server_database: FreshDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[AdminClient]:
    async with admin_api(server_database.dsn, tmp_path_factory.mktemp("admin")) as client:
        yield client


@pytest.fixture
async def api(api_of_all: AdminClient) -> AdminClient:
    """Of acme, olga is the owner, adam an admin and ann a member; globex belongs to gus."""
    await api_of_all.owner.execute(SEED)
    return api_of_all


async def roles(api: AdminClient) -> dict[str, str]:
    rows = await api.owner.fetch("select user_id, role from organization_members where org_id = 'acme'")
    return {row["user_id"]: row["role"] for row in rows}


async def test_an_admin_adds_promotes_and_removes_a_member_of_any_name(api: AdminClient) -> None:
    headers = {"X-Request-ID": "req-8"}
    body = {"user_id": "a/b@c", "role": "member"}
    added = await call(api, "POST", MEMBERS, "adam", body, headers=headers)
    assert (added.status_code, added.json()["user_id"], added.json()["role"]) == (201, "a/b@c", "member")
    again = await call(api, "POST", MEMBERS, "adam", body)
    assert (again.status_code, again.json()) == (200, added.json())
    # Also where a proxy has decoded the slash.
    promoted = await call(api, "PATCH", f"{MEMBERS}/a%2Fb@c", "adam", {"role": "admin"}, headers=headers)
    assert (promoted.status_code, promoted.json()["role"]) == (200, "admin")
    assert (await call(api, "PATCH", f"{MEMBERS}/a%2Fb@c", "adam", {"role": "admin"})).status_code == 200
    removed = await call(api, "DELETE", f"{MEMBERS}/a%2Fb%40c", "adam", headers=headers)
    assert (removed.status_code, removed.content) == (204, b"")
    assert "a/b@c" not in await roles(api)
    rows = await api.owner.fetch(
        "select event_type, actor, request_id from org_billing_history where user_id = 'a/b@c' order by id"
    )
    assert [tuple(row) for row in rows] == [
        ("member_added", "adam", "req-8"),
        ("member_role_changed", "adam", "req-8"),
        ("member_removed", "adam", "req-8"),
    ]


async def test_who_is_removed_sees_nothing_from_then_on_and_may_spend_nothing(api: AdminClient) -> None:
    await api.owner.execute(
        "select add_credits_to_pool('acme', 100), allocate_credits_to_user('acme', 'ann', 60)"
    )
    assert (await call(api, "GET", MEMBERS, "ann")).status_code == 200
    assert (await call(api, "DELETE", f"{MEMBERS}/ann", "olga")).status_code == 204
    assert (await call(api, "GET", MEMBERS, "ann")).status_code == 404
    allocations = (await call(api, "GET", "/credits/acme/allocations", "olga")).json()["items"]
    assert [(item["user_id"], item["is_active"]) for item in allocations] == [("ann", False)]
    assert (await call(api, "GET", "/credits/acme", "olga")).json()["allocated_credits"] == "0"


@pytest.mark.parametrize(
    ("method", "path", "by", "body", "refusal"),
    [
        ("POST", MEMBERS, "adam", {"user_id": "eve", "role": "owner"}, (403, "forbidden")),
        ("PATCH", f"{MEMBERS}/adam", "adam", {"role": "owner"}, (403, "forbidden")),
        ("PATCH", f"{MEMBERS}/olga", "adam", {"role": "member"}, (403, "forbidden")),
        ("DELETE", f"{MEMBERS}/olga", "adam", None, (403, "forbidden")),
        ("PATCH", f"{MEMBERS}/olga", "olga", {"role": "admin"}, (409, "last-owner")),
        ("DELETE", f"{MEMBERS}/olga", "olga", None, (409, "last-owner")),
        ("POST", MEMBERS, "olga", {"user_id": "ann", "role": "admin"}, (409, "member-already")),
        ("PATCH", f"{MEMBERS}/eve", "olga", {"role": "admin"}, (404, "not-found")),
        ("DELETE", f"{MEMBERS}/eve", "olga", None, (404, "not-found")),
        ("DELETE", f"{MEMBERS}/{'x' * 300}", "olga", None, (404, "not-found")),
        ("DELETE", f"{MEMBERS}/a%00b", "olga", None, (422, "invalid-request")),
        ("POST", MEMBERS, "olga", {"role": "member"}, (422, "invalid-request")),
        ("POST", MEMBERS, "olga", {"user_id": "", "role": "member"}, (422, "invalid-request")),
        ("POST", MEMBERS, "olga", {"user_id": "e\x00e"}, (422, "invalid-request")),
        ("POST", MEMBERS, "olga", {"user_id": "x" * 256}, (422, "invalid-request")),
        ("POST", MEMBERS, "olga", {"user_id": "eve", "role": "boss"}, (422, "invalid-request")),
        ("PATCH", f"{MEMBERS}/ann", "olga", {}, (422, "invalid-request")),
        ("PUT", f"{MEMBERS}/ann", "olga", {"role": "admin"}, (405, "method-not-allowed")),
    ],
)
async def test_what_is_refused_changes_nothing(
    api: AdminClient, method: str, path: str, by: str, body: dict[str, str] | None, refusal: tuple[int, str]
) -> None:
    assert kind_of(await call(api, method, path, by, body)) == refusal
    assert await roles(api) == {"adam": "admin", "ann": "member", "olga": "owner"}


async def test_a_system_admin_who_is_no_member_may_do_it_all_but_leave_no_owner(api: AdminClient) -> None:
    made = await call(api, "POST", MEMBERS, "sam", {"user_id": "otto", "role": "owner"}, system_admin=True)
    assert made.status_code == 201
    assert (await call(api, "DELETE", f"{MEMBERS}/olga", "sam", system_admin=True)).status_code == 204
    last = await call(api, "DELETE", f"{MEMBERS}/otto", "sam", system_admin=True)
    assert kind_of(last) == (409, "last-owner")


async def test_members_and_strangers_are_refused_with_the_body_unread(api: AdminClient) -> None:
    for method, path in (("POST", MEMBERS), ("PATCH", f"{MEMBERS}/adam")):
        assert kind_of(await untouched(api, method, path, "ann")) == (403, "forbidden")
        unknown = await untouched(api, method, path.replace("acme", "unknown"), "gus")
        others = await untouched(api, method, path, "gus")
        assert (others.status_code, others.content) == (404, unknown.content)
    assert kind_of(await call(api, "DELETE", f"{MEMBERS}/adam", "ann")) == (403, "forbidden")
    assert (await call(api, "DELETE", f"{MEMBERS}/adam", "gus")).status_code == 404


async def test_of_two_owners_removed_at_once_one_stays(api: AdminClient) -> None:
    await api.owner.execute("select add_organization_member('acme', 'otto', 'owner')")
    answers = await asyncio.gather(
        *(call(api, "DELETE", f"{MEMBERS}/{owner}", "sam", system_admin=True) for owner in ("olga", "otto"))
    )
    assert sorted(answer.status_code for answer in answers) == [204, 409]
    assert list((await roles(api)).values()).count("owner") == 1


async def test_the_last_seat_is_given_once(api: AdminClient) -> None:
    await api.owner.execute("update organizations set max_seats = 4")
    answers = await asyncio.gather(
        *(call(api, "POST", MEMBERS, "olga", {"user_id": user_id}) for user_id in ("eve", "dan"))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert kind_of(refused) == (409, "seats-taken")


async def test_nobody_joins_a_closed_organization_and_anybody_leaves_it(api: AdminClient) -> None:
    await api.owner.execute("select close_organization('acme')")
    joined = await call(api, "POST", MEMBERS, "olga", {"user_id": "eve"})
    assert kind_of(joined) == (409, "organization-closed")
    assert (await call(api, "DELETE", f"{MEMBERS}/ann", "olga")).status_code == 204


async def test_a_system_admin_makes_an_organization_for_somebody(api: AdminClient) -> None:
    body = {"org_id": "initech", "display_name": "Initech", "max_seats": 3, "owner": "bill"}
    made = await call(api, "POST", "/organizations", "sam", body, system_admin=True)
    assert (made.status_code, made.json()) == (
        201,
        {
            "org_id": "initech",
            "name": "initech",
            "display_name": "Initech",
            "max_seats": 3,
            "status": "active",
            "owner": "bill",
        },
    )
    listed = (await call(api, "GET", "/organizations/initech/members", "bill")).json()["items"]
    assert [(item["user_id"], item["role"]) for item in listed] == [("bill", "owner")]
    for taken in (body, {"org_id": "other", "name": "acme"}):
        again = await call(api, "POST", "/organizations", "sam", taken, system_admin=True)
        assert kind_of(again) == (409, "organization-taken")


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"org_id": "user"},
        {"org_id": "-a"},
        {"org_id": "a", "max_seats": 0},
        {"org_id": "a", "max_seats": 2**31},
        {"org_id": "a", "name": "x" * 101},
        {"org_id": "a", "display_name": "x" * 201},
        {"org_id": "a", "display_name": "\x00"},
        {"org_id": "a", "plan": "byok"},
    ],
)
async def test_a_wrong_organization_is_422(api: AdminClient, wrong: dict[str, object]) -> None:
    refused = await call(api, "POST", "/organizations", "sam", wrong, system_admin=True)
    assert kind_of(refused) == (422, "invalid-request")


async def test_organizations_are_made_by_system_admins_only_and_the_body_of_others_is_not_read(
    api: AdminClient,
) -> None:
    assert kind_of(await untouched(api, "POST", "/organizations", "olga")) == (403, "forbidden")


async def test_where_a_setting_says_so_everyone_makes_organizations_and_owns_them(
    api: AdminClient, server_database: FreshDatabase, tmp_path: Path
) -> None:
    async with admin_api(server_database.dsn, tmp_path, anyone_creates_organizations=True) as open_to_all:
        others = {"org_id": "mine", "owner": "olga"}
        assert kind_of(await call(open_to_all, "POST", "/organizations", "new", others)) == (403, "forbidden")
        made = await call(open_to_all, "POST", "/organizations", "new", {"org_id": "mine"})
        assert (made.status_code, made.json()["owner"]) == (201, "new")
        added = await call(open_to_all, "POST", "/organizations/mine/members", "new", {"user_id": "friend"})
        assert added.status_code == 201
