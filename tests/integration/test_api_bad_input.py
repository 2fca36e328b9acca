"""Whatever comes in, the answer is a problem that says what is wrong, and never a 500."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.read_api import BASE_PATH, ApiClient, check_against_contract, seeded_api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import PostgresServers

SEED = """
select create_organization('acme');
select add_organization_member('acme', 'olga', 'owner');
"""
HUGE = "9" * 5_000
NAUGHTY = [
    "%00",
    "a%00b",
    "%FF%FE",
    "%ED%A0%80",
    "%E2%80%AE",
    "x" * 3_000,
    "'%3B--",
    "..%2F..",
    "%0D%0A",
    "%25",
]


@pytest.fixture(scope="module")
async def api(
    postgres_servers: PostgresServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ApiClient]:
    async with seeded_api(postgres_servers, SEED, tmp_path_factory.mktemp("api")) as client:
        yield client


async def ask(api: ApiClient, path_and_query: str) -> tuple[int, str]:
    token = api.issuer.token("olga", roles=["system_admin"])
    headers = {"Authorization": f"Bearer {token}"}
    response = await api.http.get(BASE_PATH + path_and_query, headers=headers)
    check_against_contract(response)
    return response.status_code, response.text


@pytest.mark.parametrize("org_id", [*NAUGHTY, "-acme", "user", "acme%20", "ACME", "acme/", "%2F"])
async def test_an_id_no_organization_can_have_is_404(api: ApiClient, org_id: str) -> None:
    for suffix in ("", "/allocations", "/events", "/usage"):
        assert (await ask(api, f"/credits/{org_id}{suffix}"))[0] == 404 or org_id == "user"


@pytest.mark.parametrize("user_id", NAUGHTY)
async def test_any_user_id_in_the_path_is_answered(api: ApiClient, user_id: str) -> None:
    assert (await ask(api, f"/credits/user/{user_id}"))[0] in (200, 422)


@pytest.mark.parametrize("route", ["events", "usage", "check"])
@pytest.mark.parametrize("user_id", [*NAUGHTY, ""])
async def test_any_user_id_in_the_query_is_answered(api: ApiClient, route: str, user_id: str) -> None:
    status, _ = await ask(api, f"/credits/acme/{route}?credits=1&user_id={user_id}")
    assert status in (200, 422)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=1001", "limit"),
        ("limit=1.5", "limit"),
        ("limit=", "limit"),
        (f"limit={HUGE}", "limit"),
        ("cursor=", "next_cursor"),
        ("cursor=abc", "next_cursor"),
        ("cursor=%00", "next_cursor"),
        ("cursor=%F0%9F%98%80", "next_cursor"),
        ("cursor=" + "A" * 36, "next_cursor"),
        ("cursor=AX__________AAAAAAAAAAAAAAAAAAAAAAAA", "next_cursor"),
        (f"cursor={HUGE}", "cursor"),
        ("service_type=", "service_type"),
        ("service_type=%00", "service_type"),
        (f"service_type={HUGE}", "service_type"),
        ("outcome=free", "outcome"),
        ("format=xml", "format"),
        ("from=yesterday", "RFC 3339"),
        ("from=1700000000", "RFC 3339"),
        ("from=2026-01-01", "RFC 3339"),
        ("from=2026-01-01T00:00:00", "RFC 3339"),
        ("from=2026-02-30T00:00:00Z", "calendar"),
        ("from=0001-01-01T00:00:00%2B14:00", "calendar"),
        ("to=9999-12-31T23:59:59-14:00", "calendar"),
        ("from=2026-01-01T00:00:00+01:00", "%2B"),
        (f"from={HUGE}", "RFC 3339"),
        ("from=%00", "RFC 3339"),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "before"),
        ("from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00%2B01:00", "before"),
    ],
)
async def test_a_wrong_query_of_the_history_is_422_and_says_why(
    api: ApiClient, query: str, said: str
) -> None:
    status, text = await ask(api, f"/credits/acme/events?{query}")
    assert status == 422
    assert said in text


@pytest.mark.parametrize(
    "query",
    [
        "interval=minute",
        "group_by=event_id",
        "interval=hour&from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z",
        "interval=month&from=0001-01-01T00:00:00Z",
        "interval=week&from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z",
        "from=9999-01-01T00:00:00Z",
    ],
)
async def test_a_wrong_query_of_the_summary_is_422(api: ApiClient, query: str) -> None:
    assert (await ask(api, f"/credits/acme/usage?{query}"))[0] == 422


@pytest.mark.parametrize(
    "query",
    [
        "to=0001-01-02T00:00:00Z",
        "interval=month&from=9950-01-01T00:00:00Z&to=9999-12-31T23:59:59.999999Z",
        "interval=week&from=0001-01-01T00:00:00Z&to=0001-01-20T00:00:00Z",
        "interval=day&from=9999-12-30T00:00:00Z&to=9999-12-31T23:59:59.999999Z",
    ],
)
async def test_a_summary_at_the_ends_of_the_calendar_works(api: ApiClient, query: str) -> None:
    assert (await ask(api, f"/credits/acme/usage?{query}"))[0] == 200


@pytest.mark.parametrize(
    "amount",
    [
        "-1",
        "NaN",
        "Infinity",
        "1e999999",
        "1e99999999999999999999",
        "0.0000001",
        "100000000000000",
        "",
        "1_0",
        "%00",
        "٣",
        HUGE,
    ],
)
async def test_a_wrong_amount_is_422(api: ApiClient, amount: str) -> None:
    assert (await ask(api, f"/credits/acme/check?credits={amount}"))[0] == 422


@pytest.mark.parametrize(
    "route", ["/organizations", "/organizations/acme/members", "/credits/acme/allocations"]
)
@pytest.mark.parametrize("cursor", ["", "%00", "AA", "AQ", "AQA", "Af8", "A" * 1_401, "é"])
async def test_a_wrong_cursor_of_a_list_is_422(api: ApiClient, route: str, cursor: str) -> None:
    status, text = await ask(api, f"{route}?cursor={cursor}")
    assert (status, "cursor" in text) == (422, True)


async def test_a_problem_never_repeats_what_was_sent(api: ApiClient) -> None:
    _, text = await ask(api, "/credits/acme/events?limit=swordfish&cursor=swordfish&user_id=")
    assert "swordfish" not in text
