"""A write with a key happens once: whoever repeats it, at the same time or after a broken connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.admin_api import AdminClient

SEED = """
select create_organization('acme');
select add_organization_member('acme', 'olga', 'owner');
select add_organization_member('acme', 'adam', 'admin');
select add_organization_member('acme', 'mia', 'member');
select create_organization('other');
"""
ADDED = {"credits": "100", "purchase_amount": "0.1", "reason": "purchase"}


@pytest.fixture
async def api(control_plane: AdminClient) -> AsyncIterator[AdminClient]:
    async with control_plane.with_organizations(SEED):
        yield control_plane


@pytest.fixture
async def other_session(api: AdminClient) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else in the database, who may hold what our writes need."""
    connection = await asyncpg.connect(api.dsn)
    yield connection
    await connection.close()


async def total(api: AdminClient, org_id: str = "acme") -> str:
    found: str = await api.owner.fetchval(
        "select total_credits::bigint::text from organization_credit_pools where org_id = $1", org_id
    )
    return found


async def test_a_repeated_write_is_answered_as_the_first_and_changes_nothing(api: AdminClient) -> None:
    first = await api.by_system("/credits/acme/add", "k1", **ADDED)
    await api.by_system("/credits/acme/add", "k2", **ADDED)
    again = await api.by_system("/credits/acme/add", "k1", **ADDED)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert (first.json()["total_credits"], await total(api)) == ("100", "200")
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers


async def test_the_same_body_is_the_same_however_it_is_written(api: AdminClient) -> None:
    headers = api.headers("sam", key="k1", system_admin=True) | {"Content-Type": "application/json"}
    bodies = (
        b'{"credits": "100", "reason": "purchase"}',
        b'{ "reason":"purchase", "purchase_amount": 0, "credits": 1.00e2, "notes": null }',
    )
    answers = [await api.send("/credits/acme/add", headers, content=body) for body in bodies]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert await total(api) == "100"


async def test_a_key_with_another_body_is_refused(api: AdminClient) -> None:
    await api.by_system("/credits/acme/add", "k1", **ADDED)
    for other in ({"credits": "101"}, {"reason": "bonus"}, {"notes": "x"}, {"payment_reference": "x"}):
        refused = await api.by_system("/credits/acme/add", "k1", **{**ADDED, **other})
        assert (refused.status_code, refused.json()["type"]) == (
            422,
            "urn:meter:problem:idempotency-key-reused",
        )
    assert await total(api) == "100"


async def test_a_key_counts_for_one_caller_one_organization_and_one_route(api: AdminClient) -> None:
    answers = [
        await api.by_system("/credits/acme/add", "k1", **ADDED),
        await api.post("/credits/acme/add", "sandra", "k1", system_admin=True, **ADDED),
        await api.by_system("/credits/other/add", "k1", **ADDED),
        await api.by_system("/credits/acme/reverse", "k1", credits="1"),
        await api.by_system("/credits/acme/allocate", "k1", user_id="mia", credits="2"),
    ]
    assert [answer.status_code for answer in answers] == [200] * 5
    assert not [answer for answer in answers if "idempotency-replayed" in answer.headers]
    assert (await total(api), await total(api, "other")) == ("199", "100")


async def test_while_the_first_runs_its_key_is_taken(
    api: AdminClient, other_session: asyncpg.Connection
) -> None:
    async with other_session.transaction():
        await other_session.execute(
            "select 1 from organization_credit_pools where org_id = 'acme' for update"
        )
        first = asyncio.create_task(api.by_system("/credits/acme/add", "k1", **ADDED))
        await api.waiting()
        meanwhile = await api.by_system("/credits/acme/add", "k1", **ADDED)
    assert (meanwhile.status_code, meanwhile.json()["type"]) == (409, "urn:meter:problem:request-running")
    assert int(meanwhile.headers["retry-after"]) > 0
    assert (await first).status_code == 200
    after = await api.by_system("/credits/acme/add", "k1", **ADDED)
    assert (after.status_code, after.content) == (200, (await first).content)
    assert await total(api) == "100"


async def test_a_crowd_with_one_key_adds_once(api: AdminClient) -> None:
    crowd = [api.by_system("/credits/acme/add", "k1", **ADDED) for _ in range(12)]
    statuses = {answer.status_code for answer in await asyncio.gather(*crowd)}
    assert 200 in statuses
    assert statuses <= {200, 409}
    assert await total(api) == "100"


async def test_of_two_admins_who_allocate_the_last_credits_one_is_told_what_is_left(
    api: AdminClient, other_session: asyncpg.Connection
) -> None:
    await api.by_system("/credits/acme/add", **ADDED)
    async with other_session.transaction():
        await other_session.execute(
            "select 1 from organization_credit_pools where org_id = 'acme' for update"
        )
        both = [
            asyncio.create_task(api.post("/credits/acme/allocate", admin, user_id=user, credits="60"))
            for admin, user in (("adam", "mia"), ("olga", "olga"))
        ]
        await api.waiting(2)
    answers = sorted(await asyncio.gather(*both), key=lambda answer: answer.status_code)
    assert [answer.status_code for answer in answers] == [200, 409]
    assert (answers[1].json()["available"], answers[1].json()["largest"]) == ("40", "40")
    promised = await api.owner.fetchval(
        "select sum(allocated_credits) from user_credit_allocations where is_active"
    )
    assert promised == 60


async def test_two_payments_with_one_reference_at_once_count_once(
    api: AdminClient, other_session: asyncpg.Connection
) -> None:
    async with other_session.transaction():
        await other_session.execute(
            "select 1 from organization_credit_pools where org_id = 'acme' for update"
        )
        both = [
            asyncio.create_task(api.by_system("/credits/acme/add", key, **ADDED, payment_reference="inv-1"))
            for key in ("k1", "k2")
        ]
        await api.waiting(2)
    assert sorted([answer.status_code for answer in await asyncio.gather(*both)]) == [200, 409]
    assert await total(api) == "100"


async def test_a_refused_write_leaves_its_key_as_new(api: AdminClient) -> None:
    refused = await api.post("/credits/acme/allocate", "adam", "k1", user_id="mia", credits="60")
    await api.by_system("/credits/acme/add", **ADDED)
    allowed = await api.post("/credits/acme/allocate", "adam", "k1", user_id="mia", credits="60")
    assert (refused.status_code, allowed.status_code) == (409, 200)


async def test_a_write_whose_connection_breaks_is_made_once_when_it_is_tried_again(
    api: AdminClient, other_session: asyncpg.Connection
) -> None:
    async with other_session.transaction():
        await other_session.execute(
            "select 1 from organization_credit_pools where org_id = 'acme' for update"
        )
        first = asyncio.create_task(api.by_system("/credits/acme/add", "k1", **ADDED))
        await api.waiting()
        await other_session.execute(
            """
            select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'
            """
        )
        broken = await first
    assert (broken.status_code, await total(api)) == (503, "0")
    assert (await api.by_system("/credits/acme/add", "k1", **ADDED)).status_code == 200
    assert await total(api) == "100"


async def test_answers_are_kept_for_two_days_and_then_removed(api: AdminClient) -> None:
    for key in ("old", "kept"):
        await api.by_system("/credits/acme/add", key, **ADDED)
    await api.owner.execute(
        "update request_answers set created_at = now() - interval '48 hours 1 minute' where key = 'old'"
    )
    await api.owner.execute(
        "update request_answers set created_at = now() - interval '47 hours 59 minutes' where key = 'kept'"
    )
    await api.by_system("/credits/acme/add", "new", **ADDED)
    assert {row["key"] for row in await api.owner.fetch("select key from request_answers")} == {"kept", "new"}
