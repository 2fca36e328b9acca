"""What people see of voids: operators, members in summaries and history, services in dead letters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.rollup import ROLL_UP, WRONG_SUMS
from tests.running_worker import ledger, running_worker, usage_side
from tests.void_events import books_of_acme, outcomes, usage, usage_body, void, void_body

from meter.db.corrections import Corrections, VoidedUsage
from meter.db.pool import open_pool
from meter.db.reader import Reader, reading_for
from meter.db.reading import open_reader
from meter.db.usage_history import LATEST, EntryPosition, UsageFilter, UsageHistory
from meter.errors import IdentityConflict, InvalidArgument, UnknownOrganization
from meter.events import CONTENT_TYPE_EVENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg
    from tests.private_servers import Broker, FreshDatabase

    from meter.db.settlement import Settlement


@pytest.fixture
async def owner(database: FreshDatabase) -> AsyncIterator[asyncpg.Connection]:
    async with books_of_acme(database.dsn) as connection:
        yield connection


@pytest.fixture
async def corrections(database: FreshDatabase) -> AsyncIterator[Corrections]:
    pool = await open_pool(database.dsn, "meter_admin", max_connections=1)
    yield Corrections(pool)
    await pool.close()


async def rolled_up(owner: asyncpg.Connection) -> None:
    """Let the sums of usage hold everything."""
    while await owner.fetchval(ROLL_UP) is not None:
        pass


async def test_summaries_count_the_event_and_no_void(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    await settlement.settle([usage("e"), usage("kept", "3")])
    await rolled_up(owner)
    await settlement.settle([void("e"), void("never")])

    assert await owner.fetch(WRONG_SUMS) == []
    await rolled_up(owner)
    assert await owner.fetch(WRONG_SUMS) == []
    services = await owner.fetch("select service_type, events, credits::integer from credit_usage_by_service")
    users = await owner.fetch("select user_id, events, credits::integer from top_credit_users_by_org")

    assert list(map(tuple, services)) == [("llm", 2, 3)]
    assert list(map(tuple, users)) == [("alice", 2, 3)]


async def test_the_history_shows_voids_as_nobodys_usage(
    settlement: Settlement, owner: asyncpg.Connection, database: FreshDatabase
) -> None:
    await settlement.settle([usage("e"), void("e", unknown=[1])])
    await rolled_up(owner)
    reader = Reader(org_id="acme", sees_everything=True)
    async with await open_reader(database.dsn) as connections:
        with reading_for(reader):
            page = await UsageHistory(connections).page(
                UsageFilter("acme", outcome="void"), after=EntryPosition.before(LATEST), limit=5
            )

    (entry,) = page.entries
    assert (entry.event_id, entry.user_id, entry.credits_used) == ("void e", None, "0")
    assert json.loads(bytes(entry.request_metadata)) == {
        "target_source": "tests",
        "target_id": "e",
        "reason": "a mistake",
        "unknown": [1],
    }


async def test_an_operator_takes_an_event_back_once(
    settlement: Settlement, corrections: Corrections, owner: asyncpg.Connection
) -> None:
    await settlement.settle([usage("paid", "100"), usage("open", "60")])

    async def call(event_id: str = "paid", org_id: str = "acme", **changed: str) -> VoidedUsage:
        given = {"source": "tests", "reason": "a mistake", "actor": "cli:ops"} | changed
        return await corrections.void(org_id, event_id, **given)

    first, again = await call(), await call(actor="cli:another")
    waiting, second = await call("later"), await call("void paid")

    assert (first.result, first.outcome, first.credits) == ("taken_back", "charged", 100)
    assert (first.repeated, first.funded_events) == (False, 1)
    assert (again.result, again.credits, again.repeated) == ("taken_back", 100, True)
    assert (waiting.result, second.result) == ("waiting", "waiting")
    assert outcomes(await settlement.settle([void("paid")])) == ["void"]
    with pytest.raises(IdentityConflict):
        await call(reason="another")
    with pytest.raises(InvalidArgument):
        await call("void paid again", source="")
    with pytest.raises(UnknownOrganization):
        await call(org_id="ghost")
    await settlement.settle([void("open")])
    assert (await call("open")).result == "nothing"


async def test_a_void_travels_as_any_event(database: FreshDatabase, broker: Broker) -> None:
    async with (
        usage_side(broker.operator_url) as services,
        running_worker(database.dsn, broker.worker_url) as worker,
        ledger(database.dsn) as books,
    ):
        await books.add_organization("acme")
        await services.publish([(void_body("e", "early"), CONTENT_TYPE_EVENT)])
        await services.publish_batch([usage_body("e"), usage_body("f"), void_body("f"), void_body("early")])

        (letter,) = await services.dead_letters(1)

        assert letter.body == void_body("early")
        assert letter.header.properties.headers["meter-reason"] == "void_of_void"
        assert await books.settled(4) == {"charged": 2, "void": 2}
        assert await worker.metric('meter_events_total{outcome="void"}') == 2
