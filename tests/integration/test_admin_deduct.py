"""One synchronous charge: made once, refused without a trace, by services whose key is for it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import pytest

from meter.events import event_key, new_event_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx
    from tests.admin_api import AdminClient

SEED = """
select create_organization('acme');
select add_organization_member('acme', 'olga', 'owner');
select add_credits_to_pool('acme', 100);
select allocate_credits_to_user('acme', 'mia', 60);
select create_organization('other');
"""
CHARGE = {"org_id": "acme", "user_id": "mia", "credits": "12.5", "service_type": "valuation"}


@pytest.fixture
async def api(control_plane: AdminClient) -> AsyncIterator[AdminClient]:
    async with control_plane.with_organizations(SEED):
        yield control_plane


class Service:
    """A program with an API key of its own."""

    def __init__(self, api: AdminClient, headers: dict[str, str]) -> None:
        self.api = api
        self.headers = headers

    async def deduct(self, key: str | None = None, **changed: object) -> httpx.Response:
        headers = {**self.headers, "Idempotency-Key": key or str(uuid4())}
        return await self.api.send("/credits/deduct", headers, json={**CHARGE, **changed})


@pytest.fixture
async def service(api: AdminClient) -> Service:
    return Service(api, await api.service_headers("deduct", org_id="acme"))


async def ledger(api: AdminClient) -> list[dict[str, Any]]:
    rows = await api.owner.fetch("select * from credit_usage_attribution order by created_at, entry")
    return [dict(row) for row in rows]


async def used(api: AdminClient) -> tuple[str, str]:
    row = await api.owner.fetchrow(
        """
        select pool.used_credits::text as pool, allocation.used_credits::text as allocation
        from organization_credit_pools pool join user_credit_allocations allocation using (org_id)
        """
    )
    return row["pool"], row["allocation"]


async def test_a_charge_is_made_and_says_whose_it_is(service: Service, api: AdminClient) -> None:
    service.headers["X-Request-ID"] = "req-9"
    charged = await service.deduct("job-7", service_name="full", request_id="r", metadata={"job": 7.5})
    (entry,) = await ledger(api)
    assert charged.status_code == 200
    assert charged.json() == {
        "event_key": str(entry["event_key"]),
        "org_id": "acme",
        "user_id": "mia",
        "credits": "12.5",
        "outcome": "charged",
        "occurred_at": entry["occurred_at"].isoformat().replace("+00:00", "Z"),
    }
    key_id = await api.owner.fetchval("select key_id from api_keys where org_id = 'acme'")
    assert (entry["event_id"], entry["source"], entry["request_id"]) == ("job-7", f"key:{key_id}", "r")
    assert entry["event_key"] == event_key(f"key:{key_id}", "job-7")
    assert json.loads(entry["request_metadata"]) == {"job": 7.5, "http_request_id": "req-9"}
    assert await used(api) == ("12.500000", "12.500000")


async def test_a_repeated_charge_is_answered_as_the_first_and_charges_nothing(
    service: Service, api: AdminClient
) -> None:
    first = await service.deduct("job-7")
    await service.deduct("job-8")
    again = await service.deduct("job-7", credits=12.50)
    assert (again.status_code, again.content) == (200, first.content)
    # The ledger knows it for ever: nothing has to be kept beside.
    await api.owner.execute("truncate request_answers, idempotency_keys")
    assert (await service.deduct("job-7")).content == first.content
    assert await used(api) == ("25.000000", "25.000000")


@pytest.mark.parametrize(
    "other",
    [
        {"credits": "12"},
        {"user_id": "olga"},
        {"service_type": "llm"},
        {"metadata": {"job": 8}},
        {"request_id": "s"},
    ],
    ids=str,
)
async def test_a_key_with_another_charge_is_refused(
    service: Service, api: AdminClient, other: dict[str, object]
) -> None:
    await service.deduct("job-7", metadata={"job": 7}, request_id="r")
    refused = await service.deduct("job-7", **{"metadata": {"job": 7}, "request_id": "r", **other})
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:meter:problem:idempotency-key-reused")
    assert await used(api) == ("12.500000", "12.500000")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"credits": "60.000001"}, "allocation_exhausted"),
        ({"user_id": "nobody"}, "no_allocation"),
        ({"user_id": "free", "credits": "200"}, "pool_exhausted"),
    ],
)
async def test_a_charge_that_credits_do_not_suffice_for_leaves_no_trace(
    service: Service, api: AdminClient, changed: dict[str, object], reason: str
) -> None:
    # A limit above what the pool has, as a reset may leave it.
    await api.owner.execute(
        "insert into user_credit_allocations (org_id, user_id, allocated_credits, allocated_by)"
        " values ('acme', 'free', 500, 'test')"
    )
    refused = await service.deduct("job-7", **changed)
    assert (refused.status_code, refused.json()["reason"]) == (402, reason)
    assert refused.json()["type"] == "urn:meter:problem:insufficient-credits"
    assert await ledger(api) == []
    assert (
        await api.owner.fetchval(
            "select unfunded_credits from organization_credit_pools where org_id = 'acme'"
        )
        == 0
    )
    # Not remembered: the same key is good for what can be taken.
    assert (await service.deduct("job-7")).status_code == 200


async def test_while_the_first_charge_runs_its_key_is_taken(service: Service, api: AdminClient) -> None:
    other_session = await asyncpg.connect(api.dsn)
    async with other_session.transaction():
        await other_session.execute(
            "select 1 from organization_credit_pools where org_id = 'acme' for update"
        )
        first = asyncio.create_task(service.deduct("job-7"))
        await api.waiting()
        meanwhile = await service.deduct("job-7")
    await other_session.close()
    assert (meanwhile.status_code, meanwhile.json()["type"]) == (409, "urn:meter:problem:request-running")
    assert ((await first).status_code, await used(api)) == (200, ("12.500000", "12.500000"))
    assert (await service.deduct("job-7")).content == (await first).content


async def test_a_crowd_with_one_key_charges_once_and_one_with_many_never_too_much(
    service: Service, api: AdminClient
) -> None:
    await asyncio.gather(*(service.deduct("job-7") for _ in range(8)))
    assert await used(api) == ("12.500000", "12.500000")
    statuses = [answer.status_code for answer in await asyncio.gather(*(service.deduct() for _ in range(8)))]
    assert (sorted(statuses), await used(api)) == ([200] * 3 + [402] * 5, ("50.000000", "50.000000"))


async def test_a_charge_taken_back_since_is_not_made_again(service: Service, api: AdminClient) -> None:
    key = new_event_id()
    await service.deduct(key)
    await api.owner.execute("select void_usage('acme', $1, null, 'wrong')", key)
    again = await service.deduct(key)
    assert (again.status_code, again.json()["type"]) == (409, "urn:meter:problem:taken-back")
    assert await used(api) == ("0.000000", "0.000000")


async def test_only_services_whose_key_is_for_it_charge(service: Service, api: AdminClient) -> None:
    checking = Service(api, await api.service_headers("check", org_id="acme"))
    elsewhere = Service(api, await api.service_headers("deduct", org_id="other"))
    everywhere = Service(api, await api.service_headers("deduct"))
    person = Service(api, api.headers("olga"))
    system_admin = Service(api, api.headers("sam", system_admin=True))
    assert [
        (await caller.deduct()).status_code
        for caller in (checking, elsewhere, everywhere, person, system_admin)
    ] == [403, 404, 200, 403, 403]
    unknown = [await caller.deduct(org_id="nowhere") for caller in (service, everywhere)]
    other = await service.deduct(org_id="other")
    assert [answer.status_code for answer in unknown] == [404, 404]
    assert {answer.json()["detail"] for answer in (*unknown, other)} == {other.json()["detail"]}


async def test_two_services_may_use_the_same_key(service: Service, api: AdminClient) -> None:
    second = Service(api, await api.service_headers("deduct", org_id="acme"))
    answers = [await caller.deduct("job-7") for caller in (service, second)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert await used(api) == ("25.000000", "25.000000")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"org_id": "deduct"}, "org_id"),
        ({"org_id": "a b"}, "org_id"),
        ({"credits": None}, "credits"),
        ({"service_type": ""}, "service_type"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"x": "x" * 9_000}}, "metadata"),
        ({"metadata": {"x": "\0"}}, "NUL"),
        ({"occurred_at": "yesterday"}, "RFC 3339"),
        ({"occurred_at": "2999-01-01T00:00:00Z"}, "future"),
    ],
    ids=str,
)
async def test_a_wrong_charge_is_422(service: Service, changed: dict[str, object], said: str) -> None:
    refused = await service.deduct(**changed)
    assert (refused.status_code, said in refused.json()["detail"]) == (422, True), refused.text


async def test_a_closed_organization_is_charged_nothing(service: Service, api: AdminClient) -> None:
    await api.owner.execute("select close_organization('acme')")
    refused = await service.deduct()
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:meter:problem:organization-closed")
