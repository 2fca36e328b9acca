"""Subscriptions over HTTP: who may change them, what is answered, and in which order it is refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from tests.admin_calls import call, kind_of, unread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.admin_api import AdminClient

SEED = """
select create_organization('acme', p_owner => 'olga');
select add_organization_member('acme', 'adam', 'admin');
select add_organization_member('acme', 'ann', 'member');
select create_organization('globex', p_owner => 'gus');
"""


@pytest.fixture
async def api(control_plane: AdminClient) -> AsyncIterator[AdminClient]:
    """Of acme, olga is the owner, adam an admin and ann a member; globex belongs to gus."""
    async with control_plane.with_organizations(SEED) as client:
        yield client


async def started(api: AdminClient, **terms: object) -> dict[str, Any]:
    """A subscription that adam started."""
    response = await call(api, "POST", "/subscriptions", "adam", {"org_id": "acme", "plan": "byok"} | terms)
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


async def test_an_admin_starts_a_subscription_and_every_member_reads_it(api: AdminClient) -> None:
    body = {"org_id": "acme", "plan": "hybrid", "billing_cycle": "yearly", "trial_days": 14}
    response = await call(api, "POST", "/subscriptions", "adam", body, headers={"X-Request-ID": "req-7"})
    assert (response.status_code, response.headers["etag"]) == (201, '"1"')
    subscription = response.json()
    assert (subscription["monthly_price"], subscription["status"]) == ("99", "trialing")
    assert subscription["trial_ends_at"] == subscription["current_period_end"]

    read = await call(api, "GET", f"/subscriptions/{subscription['id']}", "ann")
    assert (read.status_code, read.json(), read.headers["etag"]) == (200, subscription, '"1"')
    listed = await call(api, "GET", "/subscriptions/org/acme", "ann")
    assert listed.json() == {"items": [subscription], "next_cursor": None}
    row = await api.owner.fetchrow(
        "select actor, request_id from org_billing_history where event_type = 'subscription_started'"
    )
    assert tuple(row) == ("adam", "req-7")


async def test_a_whole_number_may_be_written_with_a_fraction_of_nothing(api: AdminClient) -> None:
    body = {"org_id": "acme", "plan": "byok", "trial_days": 14.0}
    assert (await call(api, "POST", "/subscriptions", "adam", body)).json()["status"] == "trialing"


async def test_only_a_system_admin_sets_a_price(api: AdminClient) -> None:
    priced = {"org_id": "acme", "plan": "byok", "monthly_price": "12.50"}
    assert kind_of(await call(api, "POST", "/subscriptions", "olga", priced)) == (403, "forbidden")
    response = await call(api, "POST", "/subscriptions", "sam", priced, system_admin=True)
    assert (response.status_code, response.json()["monthly_price"]) == (201, "12.5")
    path = f"/subscriptions/{response.json()['id']}"
    assert kind_of(await call(api, "PUT", path, "olga", {"monthly_price": "1"})) == (403, "forbidden")
    changed = await call(api, "PUT", path, "sam", {"monthly_price": 20}, system_admin=True)
    assert (changed.json()["monthly_price"], changed.json()["changed"]) == ("20", True)


async def test_a_second_live_subscription_is_409(api: AdminClient) -> None:
    await started(api)
    again = await call(api, "POST", "/subscriptions", "adam", {"org_id": "acme", "plan": "byok"})
    assert kind_of(again) == (409, "subscription-conflict")


async def test_a_change_shows_its_proration_and_a_change_of_nothing_shows_none(api: AdminClient) -> None:
    subscription = await started(api)
    path = f"/subscriptions/{subscription['id']}"
    changed = await call(api, "PUT", path, "olga", {"plan": "hybrid"})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    body = changed.json()
    assert (body["plan"], body["monthly_price"], body["changed"]) == ("hybrid", "99", True)
    # All of the period is still to come.
    assert {name: body["proration"][name] for name in ("credit", "charge", "amount", "currency")} == {
        "credit": "30", "charge": "99", "amount": "69", "currency": "USD",
    }  # fmt: skip
    assert (body["proration"]["from"], body["proration"]["to"]) == (
        body["updated_at"],
        subscription["current_period_end"],
    )
    cheaper = await call(api, "PUT", path, "olga", {"plan": "platform"})
    assert cheaper.json()["proration"]["amount"] == "-49"

    nothing = await call(api, "PUT", path, "olga", {"plan": "platform", "paused": False})
    assert (nothing.headers["etag"], nothing.json()["changed"], nothing.json()["proration"]) == (
        '"3"', False, None,
    )  # fmt: skip
    rows = await api.owner.fetch("select event_type from org_billing_history order by id")
    assert [row["event_type"] for row in rows][-3:] == [
        "subscription_started", "subscription_upgraded", "subscription_downgraded",
    ]  # fmt: skip


async def test_a_subscription_is_paused_resumed_and_canceled_at_the_end_of_its_period_or_at_once(
    api: AdminClient,
) -> None:
    subscription = await started(api)
    path = f"/subscriptions/{subscription['id']}"
    assert (await call(api, "PUT", path, "adam", {"paused": True})).json()["status"] == "paused"
    refused = await call(api, "PUT", path, "adam", {"plan": "hybrid"})
    assert kind_of(refused) == (409, "subscription-conflict")
    assert (await call(api, "PUT", path, "adam", {"paused": False})).json()["status"] == "active"

    canceled = (await call(api, "DELETE", path, "adam")).json()
    assert (canceled["status"], canceled["cancel_at"]) == ("active", subscription["current_period_end"])
    withdrawn = await call(api, "PUT", path, "adam", {"cancel_at_period_end": False})
    assert withdrawn.json()["cancel_at"] is None
    ended = (await call(api, "DELETE", path + "?immediately=true", "adam")).json()
    assert ended["status"] == "canceled"
    again = await call(api, "DELETE", path + "?immediately=true", "adam")
    assert (again.status_code, again.json()) == (200, ended)
    assert kind_of(await call(api, "PUT", path, "adam", {"paused": True})) == (409, "subscription-conflict")
    assert kind_of(await call(api, "DELETE", path + "?immediately=maybe", "adam")) == (422, "invalid-request")


@pytest.mark.parametrize("stale", ['"1"', 'W/"2"', '"1", "99999999999999999999"', "2", '"²"', ""])
async def test_a_change_of_what_is_not_there_any_more_is_412(api: AdminClient, stale: str) -> None:
    path = f"/subscriptions/{(await started(api))['id']}"
    first = await call(api, "PUT", path, "adam", {"plan": "hybrid"}, headers={"If-Match": '"1"'})
    assert (first.status_code, first.headers["etag"]) == (200, '"2"')
    headers = {"If-Match": stale.encode()}
    for method, body in (("PUT", {"plan": "platform"}), ("DELETE", None)):
        refused = await call(api, method, path, "adam", body, headers=headers)
        assert kind_of(refused) == (412, "precondition-failed"), (method, stale)
    assert (await call(api, "GET", path, "ann")).json()["plan"] == "hybrid"


@pytest.mark.parametrize("present", ['"1"', "*", '"7" , "1"'])
async def test_a_change_of_the_present_version_is_made(api: AdminClient, present: str) -> None:
    path = f"/subscriptions/{(await started(api))['id']}"
    changed = await call(api, "PUT", path, "adam", {"plan": "hybrid"}, headers={"If-Match": present})
    assert changed.status_code == 200
    assert (await call(api, "GET", path, "ann", headers={"If-None-Match": '"2"'})).status_code == 304


async def test_of_two_changes_at_once_one_is_412(api: AdminClient) -> None:
    path = f"/subscriptions/{(await started(api))['id']}"
    answers = await asyncio.gather(
        *(
            call(api, "PUT", path, "adam", {"plan": plan}, headers={"If-Match": '"1"'})
            for plan in ("hybrid", "platform")
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]


async def test_who_administers_nothing_is_403_with_the_body_unread(api: AdminClient) -> None:
    for user in ("ann", "nobody"):
        assert kind_of(await unread(api, "POST", "/subscriptions", user)) == (403, "forbidden")
    path = f"/subscriptions/{(await started(api))['id']}"
    assert kind_of(await unread(api, "PUT", path, "ann")) == (403, "forbidden")
    for stranger in ("gus", "nobody"):
        assert kind_of(await unread(api, "PUT", path, stranger)) == (404, "not-found")
    with pytest.raises(AssertionError):
        await unread(api, "POST", "/subscriptions", "adam")


async def test_an_organization_of_somebody_else_and_an_unknown_one_answer_alike(api: AdminClient) -> None:
    subscription = await started(api)
    wanted = {"plan": "byok"}
    others = [
        await call(api, "POST", "/subscriptions", "gus", {"org_id": org_id} | wanted)
        for org_id in ("acme", "unknown")
    ]
    assert [other.status_code for other in others] == [404, 404]
    assert others[0].content == others[1].content
    for method, body in (("GET", None), ("PUT", wanted), ("DELETE", None)):
        answers = [
            await call(api, method, f"/subscriptions/{subscription_id}", "gus", body)
            for subscription_id in (subscription["id"], uuid4(), "no-uuid")
        ]
        assert [answer.status_code for answer in answers] == [404, 404, 404], method
        assert len({answer.content for answer in answers}) == 1
    assert (await call(api, "GET", "/subscriptions/org/acme", "gus")).status_code == 404


async def test_a_member_of_an_organization_who_administers_another_is_403(api: AdminClient) -> None:
    await api.owner.execute("select add_organization_member('globex', 'adam', 'member')")
    refused = await call(api, "POST", "/subscriptions", "adam", {"org_id": "globex", "plan": "byok"})
    assert kind_of(refused) == (403, "forbidden")


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"org_id": "acme"},
        {"org_id": "acme", "plan": "gold"},
        {"org_id": "acme", "plan": "byok", "billing_cycle": "daily"},
        {"org_id": "acme", "plan": "byok", "trial_days": -1},
        {"org_id": "acme", "plan": "byok", "trial_days": "14"},
        {"org_id": "acme", "plan": "byok", "trial_days": 91},
        {"org_id": "acme", "plan": "byok", "trial_days": 14.5},
        {"org_id": "acme", "plan": "byok", "monthly_price": "1.234"},
        {"org_id": "acme", "plan": "byok", "monthly_price": "10000000000"},
        {"org_id": "acme", "plan": "byok", "color": "blue"},
        {"org_id": "a" * 37, "plan": "byok"},
    ],
)
async def test_a_wrong_body_is_422_and_starts_nothing(api: AdminClient, wrong: dict[str, object]) -> None:
    assert kind_of(await call(api, "POST", "/subscriptions", "adam", wrong)) == (422, "invalid-request")
    assert await api.owner.fetchval("select count(*) from organization_subscriptions") == 0


async def test_a_wrong_body_is_refused_before_a_stale_version_and_that_before_a_conflict(
    api: AdminClient,
) -> None:
    path = f"/subscriptions/{(await started(api))['id']}"
    await api.owner.execute("select close_organization('acme')")
    stale, present = {"If-Match": '"9"'}, {"If-Match": '"1"'}
    large = await call(api, "PUT", path, "adam", content=b" " * 70_000, headers=stale)
    assert kind_of(large) == (413, "body-too-large")
    text = await call(api, "PUT", path, "adam", content=b"hi", headers=stale | {"Content-Type": "text/plain"})
    assert kind_of(text) == (415, "unsupported-media-type")
    for no_change in ({"plan": 1}, {"cancel_at_period_end": 0}, {"cancel_at_period_end": True}):
        wrong = await call(api, "PUT", path, "adam", no_change, headers=stale)
        assert kind_of(wrong) == (422, "invalid-request")
    wanted = {"plan": "hybrid"}
    old = await call(api, "PUT", path, "adam", wanted, headers=stale)
    assert kind_of(old) == (412, "precondition-failed")
    assert kind_of(await call(api, "PUT", path, "adam", wanted, headers=present)) == (
        409, "organization-closed",
    )  # fmt: skip
    # What costs nothing any more may end.
    assert (await call(api, "DELETE", path, "adam")).status_code == 200


async def test_subscriptions_are_listed_newest_first_in_pages(api: AdminClient) -> None:
    made = []
    for _ in range(3):
        made.append((await started(api))["id"])
        await call(api, "DELETE", f"/subscriptions/{made[-1]}?immediately=true", "adam")
    first = (await call(api, "GET", "/subscriptions/org/acme?limit=2", "ann")).json()
    rest = (
        await call(api, "GET", f"/subscriptions/org/acme?limit=2&cursor={first['next_cursor']}", "ann")
    ).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == made[::-1]
    assert rest["next_cursor"] is None
    wrong = await call(api, "GET", "/subscriptions/org/acme?cursor=AWFjbWU", "ann")
    assert kind_of(wrong) == (422, "invalid-request")
