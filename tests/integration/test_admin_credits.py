"""Credits over HTTP: what comes in, what goes out again, who may spend how much, and who may say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.admin_api import AdminClient, admin_api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SEED = """
select create_organization('acme');
select add_organization_member('acme', 'olga', 'owner');
select add_organization_member('acme', 'adam', 'admin');
select add_organization_member('acme', 'mia', 'member');
select create_organization('other');
select add_organization_member('other', 'eve', 'owner');
"""
ADDED = {"credits": "100", "purchase_amount": "0.1", "reason": "purchase"}


@pytest.fixture
async def api(control_plane: AdminClient) -> AsyncIterator[AdminClient]:
    async with control_plane.with_organizations(SEED):
        yield control_plane


async def last_of_history(api: AdminClient) -> dict[str, object]:
    row = await api.owner.fetchrow(
        """
        select event_type, balance, credits::text, amount::text, currency, payment_status, user_id, actor,
               request_id, metadata::text, created_at > now() - interval '1 minute' as recent
        from org_billing_history order by id desc limit 1
        """
    )
    return dict(row)


async def test_credits_are_added_and_written_down(api: AdminClient) -> None:
    headers = api.headers("sam", key="k1", system_admin=True) | {"X-Request-ID": "req-1"}
    added = await api.send(
        "/credits/acme/add", headers, json={**ADDED, "payment_reference": "inv-1", "notes": "first"}
    )
    assert (added.status_code, added.json()) == (
        200,
        {
            "org_id": "acme",
            "credits": "100",
            "reason": "purchase",
            "total_credits": "100",
            "available_credits": "100",
            "funded_events": 0,
        },
    )
    assert added.headers["cache-control"] == "no-store"
    assert await last_of_history(api) == {
        "event_type": "credits_purchase",
        "balance": "total",
        "credits": "100.000000",
        "amount": "0.100000",
        "currency": "USD",
        "payment_status": "paid",
        "user_id": None,
        "actor": "sam",
        "request_id": "req-1",
        "metadata": '{"notes": "first", "payment_reference": "inv-1"}',
        "recent": True,
    }
    assert await api.owner.fetchval(
        """
        select lifetime_purchased_credits = 100 and lifetime_spent_amount = 0.1
        from organization_credit_pools where org_id = 'acme'
        """
    )


async def test_amounts_are_read_exactly_from_numbers_and_strings(api: AdminClient) -> None:
    headers = api.headers("sam", key="k1", system_admin=True) | {
        "Content-Type": "application/json; charset=utf-8"
    }
    raw = b'{"credits": 12345678901234.000001, "reason": "bonus"}'
    added = await api.send("/credits/acme/add", headers, content=raw)
    assert added.json()["total_credits"] == "12345678901234.000001"


async def test_a_payment_counts_once_in_its_organization(api: AdminClient) -> None:
    first = await api.by_system("/credits/acme/add", **ADDED, payment_reference="inv-1")
    again = await api.by_system("/credits/acme/add", **ADDED, payment_reference="inv-1")
    elsewhere = await api.by_system("/credits/other/add", **ADDED, payment_reference="inv-1")
    assert (first.status_code, again.status_code, elsewhere.status_code) == (200, 409, 200)
    assert again.json()["type"] == "urn:meter:problem:payment-reference-used"
    assert (
        await api.owner.fetchval("select total_credits from organization_credit_pools where org_id = 'acme'")
        == 100
    )


async def test_only_system_admins_add_credits_unless_a_setting_says_otherwise(api: AdminClient) -> None:
    statuses = [
        (await api.post("/credits/acme/add", user, **ADDED)).status_code
        for user in ("mia", "adam", "olga", "eve")
    ]
    assert statuses == [403, 403, 403, 404]
    assert (await api.by_system("/credits/nowhere/add", **ADDED)).status_code == 404
    assert await api.owner.fetchval("select count(*) from org_billing_history where credits is not null") == 0


async def test_where_the_setting_says_so_admins_add_what_was_paid_for(
    api: AdminClient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("admin")
    async with admin_api(api.dsn, folder, admins_may_purchase=True) as generous:
        purchase = await generous.post("/credits/acme/add", "adam", **ADDED, payment_reference="inv-1")
        unreferenced = await generous.post("/credits/acme/add", "adam", **ADDED)
        bonus = await generous.post(
            "/credits/acme/add", "adam", credits="1", reason="bonus", payment_reference="x"
        )
        member = await generous.post("/credits/acme/add", "mia", **ADDED, payment_reference="inv-2")
    assert [answer.status_code for answer in (purchase, unreferenced, bonus, member)] == [200, 422, 403, 403]
    assert unreferenced.json()["errors"][0]["name"] == "payment_reference"
    assert (await last_of_history(api))["actor"] == "adam"


async def test_a_mistaken_add_is_reversed_and_written_down(api: AdminClient) -> None:
    await api.by_system("/credits/acme/add", **ADDED)
    headers = api.headers("sam", key="k", system_admin=True) | {"X-Request-ID": "req-2"}
    reversed_ = await api.send(
        "/credits/acme/reverse", headers, json={"credits": "60", "purchase_amount": "0.06", "notes": "typo"}
    )
    assert reversed_.json() == {
        "org_id": "acme",
        "credits": "60",
        "total_credits": "40",
        "available_credits": "40",
    }
    history = await last_of_history(api)
    assert (history["event_type"], history["balance"], history["credits"]) == (
        "credits_reversed",
        "total",
        "-60.000000",
    )
    assert (history["amount"], history["payment_status"]) == ("-0.060000", "refunded")
    assert (history["actor"], history["request_id"]) == ("sam", "req-2")
    assert history["metadata"] == '{"notes": "typo", "reversed": "credits_purchase"}'
    books = await api.owner.fetchrow(
        """
        select total_credits = (select sum(credits) from org_billing_history where balance = 'total'),
               lifetime_purchased_credits::text, lifetime_spent_amount::text
        from organization_credit_pools where org_id = 'acme'
        """
    )
    assert tuple(books) == (True, "40.000000", "0.040000")


async def test_what_is_used_is_never_taken_back(api: AdminClient) -> None:
    await api.by_system("/credits/acme/add", **ADDED)
    await api.owner.execute("select set_pool_terms('acme', p_allocation_required => false)")
    await api.owner.execute("select deduct_credits('acme', 'mia', 70, 'llm')")
    refused = await api.by_system("/credits/acme/reverse", credits="30.000001")
    assert refused.status_code == 409
    problem = refused.json()
    assert (problem["type"], problem["largest"], problem["largest_purchase_amount"]) == (
        "urn:meter:problem:reversal-too-large",
        "30",
        "0.1",
    )
    too_much_money = await api.by_system("/credits/acme/reverse", credits="1", purchase_amount="0.2")
    nothing_bought = await api.by_system("/credits/other/reverse", credits="1")
    assert (too_much_money.status_code, nothing_bought.json()["largest"]) == (409, "0")
    assert (await api.by_system("/credits/acme/reverse", credits="30")).json()["available_credits"] == "0"
    assert (await api.post("/credits/acme/reverse", "olga", credits="1")).status_code == 403
    assert (await api.post("/credits/acme/reverse", "eve", credits="1")).status_code == 404


async def test_a_limit_is_set_for_a_member_and_written_down(api: AdminClient) -> None:
    await api.by_system("/credits/acme/add", **ADDED)
    headers = api.headers("adam", key="k") | {"X-Request-ID": "req-3"}
    body = {"user_id": "mia", "credits": 60, "reset_period": "monthly", "notes": "trial"}
    allocated = (await api.send("/credits/acme/allocate", headers, json=body)).json()
    assert allocated.pop("allocation_id") > 0
    assert allocated == {
        "org_id": "acme",
        "user_id": "mia",
        "allocated_credits": "60",
        "used_credits": "0",
        "remaining_credits": "60",
        "is_active": True,
        "funded_events": 0,
    }
    history = await last_of_history(api)
    assert (history["event_type"], history["balance"], history["credits"]) == (
        "allocation_set",
        "allocated",
        "60.000000",
    )
    assert (history["user_id"], history["actor"], history["request_id"]) == ("mia", "adam", "req-3")
    lower = await api.post("/credits/acme/allocate", "olga", user_id="mia", credits="5", is_active=False)
    assert (lower.json()["allocated_credits"], lower.json()["is_active"]) == ("5", False)
    row = await api.owner.fetchrow("select reset_period, notes, allocated_by from user_credit_allocations")
    assert tuple(row) == ("monthly", "trial", "olga")


async def test_no_more_is_promised_than_there_is(api: AdminClient) -> None:
    await api.by_system("/credits/acme/add", **ADDED)
    await api.post("/credits/acme/allocate", "adam", user_id="mia", credits="60")
    await api.owner.execute("select deduct_credits('acme', 'mia', 10, 'llm')")
    refused = await api.post("/credits/acme/allocate", "adam", user_id="olga", credits="40.000001")
    assert refused.status_code == 409
    assert (refused.json()["available"], refused.json()["largest"]) == ("40", "40")
    raised = await api.post("/credits/acme/allocate", "adam", user_id="mia", credits="101")
    # Of her limit 10 are used, so 90 of it can be kept as promises.
    assert (raised.json()["available"], raised.json()["largest"]) == ("90", "100")
    assert (await api.post("/credits/acme/allocate", "adam", user_id="mia", credits="100")).status_code == 200


async def test_a_limit_is_for_members_set_by_admins(api: AdminClient) -> None:
    stranger = await api.post("/credits/acme/allocate", "adam", user_id="eve", credits="0")
    assert (stranger.status_code, stranger.json()["type"]) == (409, "urn:meter:problem:not-a-member")
    assert (await api.post("/credits/acme/allocate", "mia", user_id="mia", credits="0")).status_code == 403
    assert (await api.post("/credits/acme/allocate", "eve", user_id="mia", credits="0")).status_code == 404
    assert (await api.post("/credits/acme/allocate", "adam", user_id="mia", credits="0")).status_code == 200


async def test_nothing_of_a_closed_organization_changes(api: AdminClient) -> None:
    await api.owner.execute("select close_organization('acme')")
    for path, body in (
        ("add", ADDED),
        ("reverse", {"credits": "1"}),
        ("allocate", {"user_id": "mia", "credits": "0"}),
    ):
        refused = await api.by_system(f"/credits/acme/{path}", **body)
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:meter:problem:organization-closed")


async def test_credits_that_come_in_settle_what_waited_for_them(api: AdminClient) -> None:
    await api.owner.execute("select set_pool_terms('acme', p_allocation_required => false)")
    await api.owner.execute(
        """
        select settle_usage(json_build_array(json_build_object(
            'org_id', 'acme', 'event_key', new_event_key(), 'source', 's', 'user_id', 'mia',
            'service_type', 'llm', 'quantity', 1, 'credits', 7, 'credits_given', true,
            'key_source', 'platform', 'key_source_given', false, 'metadata', '{}'::json)))
        """
    )
    added = await api.by_system("/credits/acme/add", **ADDED)
    assert (added.json()["funded_events"], added.json()["available_credits"]) == (1, "93")
