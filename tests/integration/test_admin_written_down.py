"""Every write is found in the books afterwards: who did what, when, and by which request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from tests.admin_api import CONTRACT
from tests.read_api import BASE_PATH, check_against_contract

if TYPE_CHECKING:
    from tests.admin_api import AdminClient

SEED = """
select create_organization('acme', p_owner => 'olga');
select add_organization_member('acme', 'mia'), add_organization_member('acme', 'ben');
select add_credits_to_pool('acme', 1000, 1);
select allocate_credits_to_user('acme', 'mia', 100), allocate_credits_to_user('acme', 'ben', 100);
select start_subscription('acme', 'platform');
"""
#: Of every operation that writes: who makes it, what is sent, and what the history calls it.
WRITES: dict[tuple[str, str], tuple[str, dict[str, object] | None, set[str]]] = {
    ("post", "/organizations"): (
        "sam",
        {"org_id": "new", "owner": "eve"},
        {"organization_created", "member_added"},
    ),
    ("post", "/organizations/acme/members"): ("olga", {"user_id": "zoe"}, {"member_added"}),
    ("patch", "/organizations/acme/members/mia"): ("olga", {"role": "admin"}, {"member_role_changed"}),
    ("delete", "/organizations/acme/members/ben"): (
        "olga",
        None,
        {"member_removed", "allocation_deactivated"},
    ),
    ("post", "/credits/acme/add"): ("sam", {"credits": 5, "reason": "bonus"}, {"credits_bonus"}),
    ("post", "/credits/acme/reverse"): ("sam", {"credits": 5}, {"credits_reversed"}),
    ("post", "/credits/acme/allocate"): ("olga", {"user_id": "mia", "credits": 50}, {"allocation_set"}),
    ("post", "/subscriptions"): ("eve", {"org_id": "fresh", "plan": "byok"}, {"subscription_started"}),
    ("put", "/subscriptions/$ID"): ("olga", {"plan": "hybrid"}, {"subscription_upgraded"}),
    ("delete", "/subscriptions/$ID"): ("olga", None, {"subscription_canceled"}),
}
#: The one write that the ledger keeps, and not the history.
DEDUCT = ("post", "/credits/deduct")


def test_every_operation_that_writes_is_among_them() -> None:
    operations = {
        (method, path.removeprefix(BASE_PATH))
        for path, operations in CONTRACT["paths"].items()
        for method in operations.keys() - {"get"}
    }
    named = {
        (
            method,
            path.replace("/acme", "/{org_id}")
            .replace("$ID", "{subscription_id}")
            .replace("/mia", "/{user_id}")
            .replace("/ben", "/{user_id}"),
        )
        for method, path in (*WRITES, DEDUCT)
    }
    assert named == operations


async def written(api: AdminClient, method: str, path: str, headers: dict[str, str], body: object) -> str:
    """Make a write that succeeds; return the id of its request."""
    request_id = str(uuid4())
    headers |= {"X-Request-ID": request_id, "Idempotency-Key": str(uuid4())}
    subscription_id = await api.owner.fetchval(
        "select id::text from organization_subscriptions where org_id = 'acme'"
    )
    response = await api.http.request(
        method.upper(),
        BASE_PATH + path.replace("$ID", subscription_id),
        headers=headers,
        json=body,
    )
    check_against_contract(response, CONTRACT)
    assert response.is_success, response.text
    return request_id


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_a_write_is_in_the_history_with_who_what_when_and_its_request(
    control_plane: AdminClient, method: str, path: str
) -> None:
    user_id, body, events = WRITES[method, path]
    async with control_plane.with_organizations(SEED) as api:
        await api.owner.execute("select create_organization('fresh', p_owner => 'eve')")
        before = datetime.now(UTC) - timedelta(seconds=1)
        headers = api.headers(user_id, system_admin=user_id == "sam")
        request_id = await written(api, method, path, headers, body)
        rows = await api.owner.fetch(
            "select event_type, actor, created_at from org_billing_history where request_id = $1", request_id
        )
    assert {row["event_type"] for row in rows} == events
    assert {row["actor"] for row in rows} == {user_id}
    assert all(before <= row["created_at"] <= datetime.now(UTC) + timedelta(seconds=1) for row in rows)


async def test_a_deduction_is_in_the_ledger_with_its_key_and_its_request(control_plane: AdminClient) -> None:
    async with control_plane.with_organizations(SEED) as api:
        headers = await api.service_headers("deduct", org_id="acme")
        body = {"org_id": "acme", "user_id": "mia", "credits": 1, "service_type": "llm"}
        request_id = await written(api, *DEDUCT, headers, body)
        key_id = await api.owner.fetchval("select key_id from api_keys order by created_at desc limit 1")
        row = await api.owner.fetchrow(
            """
            select source, request_metadata ->> 'http_request_id' as request_id,
                   created_at > now() - interval '1 minute' as is_recent
            from credit_usage_attribution where user_id = 'mia'
            """
        )
    assert tuple(row) == (f"key:{key_id}", request_id, True)
