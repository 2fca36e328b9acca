"""Billing over HTTP: of users, organizations, the system; and the history of balances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.read_api import ApiClient, seeded_api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import PostgresServers

SEED = """
select create_organization('acme', p_display_name => 'Acme Inc.'), create_organization('globex'),
       create_organization('initech');
select add_organization_member('acme', 'olga', 'owner'), add_organization_member('acme', 'ann'),
       add_organization_member('globex', 'ann'), add_organization_member('initech', 'ann'),
       add_organization_member('globex', 'gus', 'owner');
select start_subscription('acme', 'platform', p_actor => 'olga');
select start_subscription('globex', 'hybrid', p_trial_days => 14);
select add_credits_to_pool('acme', 1000, 10, p_actor => 'olga', p_request_id => 'request-1',
                           p_metadata => '{"payment_reference": "PO-17", "big": 12345678901234567890.5}');
select add_credits_to_pool('globex', 500, 25);
select add_credits_to_pool('initech', 7);
select set_pool_terms('initech', false);
select allocate_credits_to_user('acme', 'ann', 300, p_reset_period => 'monthly');
select deduct_credits('acme', 'ann', 12.5, 'llm');
"""


@pytest.fixture(scope="module")
async def api(
    postgres_servers: PostgresServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ApiClient]:
    async with seeded_api(postgres_servers, SEED, tmp_path_factory.mktemp("api")) as client:
        yield client


async def test_a_user_reads_plan_and_credits_in_every_organization(api: ApiClient) -> None:
    first = (await api.get("/billing/user", "ann", limit=2)).json()
    acme, globex = first["items"]
    assert (acme["org_id"], acme["plan"], acme["subscription_status"]) == ("acme", "platform", "active")
    assert (acme["allocated_credits"], acme["used_credits"], acme["spendable_credits"]) == (
        "300",
        "12.5",
        "287.5",
    )
    assert (globex["subscription_status"], globex["allocated_credits"]) == ("trialing", None)
    # The pool asks for an allocation, and there is none.
    assert (globex["pool_available_credits"], globex["spendable_credits"]) == ("500", "0")
    rest = (await api.get("/billing/user", "ann", cursor=first["next_cursor"])).json()
    assert [(item["org_id"], item["plan"], item["spendable_credits"]) for item in rest["items"]] == [
        ("initech", None, "7")
    ]
    assert rest["next_cursor"] is None
    assert (await api.get("/billing/user", "nobody")).json()["items"] == []


async def test_an_admin_reads_plan_pool_and_promises_of_the_organization(api: ApiClient) -> None:
    billing = (await api.get("/billing/org/acme", "olga")).json()
    assert (billing["plan"], billing["monthly_price"], billing["members"]) == ("platform", "50", 2)
    assert (billing["used_credits"], billing["available_credits"]) == ("12.5", "987.5")
    assert (billing["active_allocations"], billing["promised_credits"]) == (1, "287.5")
    assert billing["lifetime_spent_amount"] == "10"
    by_system_admin = await api.get("/billing/org/acme", "root", system_admin=True)
    assert by_system_admin.json() == billing
    without_plan = (await api.get("/billing/org/initech", "root", system_admin=True)).json()
    assert (without_plan["plan"], without_plan["subscription_id"]) == (None, None)


@pytest.mark.parametrize("path", ["/billing/org/acme", "/billing/acme/history"])
async def test_billing_of_an_organization_is_for_its_admins(api: ApiClient, path: str) -> None:
    assert (await api.get(path)).status_code == 401
    assert (await api.get(path, "gus")).status_code == 404
    assert (await api.get(path.replace("acme", "nowhere"), "gus")).status_code == 404
    assert (await api.get(path, "ann")).status_code == 403
    assert (await api.get(path, "olga")).status_code == 200
    assert (await api.get(path, "root", system_admin=True)).status_code == 200


async def test_a_system_admin_reads_the_business_as_a_whole(api: ApiClient) -> None:
    assert (await api.get("/billing/system", "olga")).status_code == 403
    system = (await api.get("/billing/system", "root", system_admin=True)).json()
    # A trial is not paid.
    assert (system["monthly_recurring_revenue"], system["annual_recurring_revenue"]) == ("50", "600")
    assert (system["organizations"], system["live_subscriptions"], system["trialing_subscriptions"]) == (
        3,
        2,
        1,
    )
    assert (system["total_credits"], system["used_credits"]) == ("1507", "12.5")
    assert system["distribution"] == [
        {"plan": "hybrid", "status": "trialing", "subscriptions": 1, "monthly_recurring_revenue": "0"},
        {"plan": "platform", "status": "active", "subscriptions": 1, "monthly_recurring_revenue": "50"},
    ]
    assert [(top["org_id"], top["lifetime_spent_amount"]) for top in system["top_organizations"]] == [
        ("globex", "25"),
        ("acme", "10"),
        ("initech", "0"),
    ]


async def history(api: ApiClient, **query: object) -> list[dict[str, Any]]:
    """All pages of the history, each of as few as asked for."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, object] = {}
    while True:
        page = (await api.get("/billing/acme/history", "olga", **query, **cursor)).json()
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


@pytest.mark.parametrize("limit", [1, 2, 1000])
async def test_pages_of_the_history_bring_every_entry_once_newest_first(api: ApiClient, limit: int) -> None:
    entries = await history(api, limit=limit)
    assert [entry["event_type"] for entry in entries] == [
        "allocation_set",
        "credits_purchase",
        "subscription_started",
        "member_added",
        "member_added",
        "organization_created",
    ]
    purchase = entries[1]
    assert (purchase["balance"], purchase["credits"], purchase["amount"]) == ("total", "1000", "10")
    assert (purchase["currency"], purchase["payment_status"]) == ("USD", "paid")
    assert (purchase["actor"], purchase["request_id"]) == ("olga", "request-1")


async def test_numbers_in_the_metadata_of_the_history_come_out_as_they_went_in(api: ApiClient) -> None:
    response = await api.get("/billing/acme/history", "olga", event_type="credits_purchase")
    assert "12345678901234567890.5" in response.text


async def test_the_history_is_narrowed_by_type_and_a_half_open_period(api: ApiClient) -> None:
    assert [entry["event_type"] for entry in await history(api, event_type="credits_purchase")] == [
        "credits_purchase"
    ]
    moment = (await history(api, event_type="credits_purchase"))[0]["created_at"]
    assert "credits_purchase" in [entry["event_type"] for entry in await history(api, from_=moment)]
    assert "credits_purchase" not in [entry["event_type"] for entry in await history(api, to=moment)]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "AQ"}, "cursor"),
        ({"limit": 0}, "limit"),
        ({"from_": "yesterday"}, "from"),
        ({"from_": "2026-02-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}, "from"),
    ],
)
async def test_a_wrong_query_of_the_history_is_422(
    api: ApiClient, query: dict[str, object], name: str
) -> None:
    response = await api.get("/billing/acme/history", "olga", **query)
    assert response.status_code == 422
    assert response.json()["errors"][0]["name"] == name
