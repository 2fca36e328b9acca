"""Voids: what they take back, in which order they may come, and what people see of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import asyncpg
import pytest
from tests.balances import WRONG_BALANCES
from tests.rollup import ROLL_UP, WRONG_SUMS
from tests.running_worker import ledger, running_worker, usage_side

from meter.db.corrections import Corrections, VoidedUsage
from meter.db.pool import open_pool
from meter.db.reader import Reader, reading_for
from meter.db.reading import open_reader
from meter.db.usage_history import LATEST, EntryPosition, UsageFilter, UsageHistory
from meter.errors import IdentityConflict, InvalidArgument, UnknownOrganization
from meter.events import CONTENT_TYPE_EVENT, Event, decode_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import Broker, FreshDatabase

    from meter.db.outcomes import SettledEvent
    from meter.db.settlement import Settlement

NOW = datetime.now(UTC).isoformat()


def body(kind: str, event_id: str, data: dict[str, object], org_id: str = "acme") -> bytes:
    return json.dumps(
        {
            "specversion": "1.0",
            "type": kind,
            "id": event_id,
            "source": "tests",
            "subject": org_id,
            "time": NOW,
            "data": data,
        }
    ).encode()


def usage_body(event_id: str, credits: str = "10") -> bytes:
    return body("meter.usage.v1", event_id, {"user_id": "alice", "service_type": "llm", "credits": credits})


def void_body(target: str, event_id: str | None = None, **more: object) -> bytes:
    named = {"target_source": "tests", "target_id": target, "reason": "a mistake"}
    return body("meter.usage.void.v1", event_id or f"void {target}", named | more)


def read(message: bytes) -> Event:
    (event,) = decode_message(message, CONTENT_TYPE_EVENT).events
    return event


def usage(event_id: str, credits: str = "10") -> Event:
    return read(usage_body(event_id, credits))


def void(target: str, event_id: str | None = None, **more: object) -> Event:
    return read(void_body(target, event_id, **more))


def outcomes(settled: list[SettledEvent]) -> list[str]:
    return [each.reason or each.outcome.value for each in settled]


@pytest.fixture
async def owner(database: FreshDatabase) -> AsyncIterator[asyncpg.Connection]:
    """The database's superuser, and an organization with 100 credits and 50 of overage."""
    connection = await asyncpg.connect(database.dsn)
    await connection.execute("select create_organization('acme'), add_credits_to_pool('acme', 100)")
    await connection.execute("select set_pool_terms('acme', false, true, 50)")
    yield connection
    await connection.close()


@pytest.fixture
async def corrections(database: FreshDatabase) -> AsyncIterator[Corrections]:
    pool = await open_pool(database.dsn, "meter_admin", max_connections=1)
    yield Corrections(pool)
    await pool.close()


async def pool_of(owner: asyncpg.Connection) -> tuple[int, ...]:
    """Credits used, of overage, billed of it, unfunded; and voids that wait. All are sums of their rows."""
    assert await owner.fetch(WRONG_BALANCES, ["acme"]) == []
    row = await owner.fetchrow(
        "select used_credits, overage_credits, overage_billed_credits, unfunded_credits, pending_voids "
        "from organization_credit_pools"
    )
    return tuple(map(int, row))


async def rolled_up(owner: asyncpg.Connection) -> None:
    """Let the sums of usage hold everything."""
    while await owner.fetchval(ROLL_UP) is not None:
        pass


@pytest.mark.parametrize("void_first", [True, False])
async def test_whichever_comes_first_the_balances_end_the_same(
    void_first: bool, settlement: Settlement, owner: asyncpg.Connection
) -> None:
    both = [void("e"), usage("e")] if void_first else [usage("e"), void("e")]

    settled = [outcome for event in both for outcome in await settlement.settle([event])]

    assert sorted(outcomes(settled)) == ["charged", "void"]
    assert await pool_of(owner) == (0, 0, 0, 0, 0)
    entries = await owner.fetch(
        "select outcome::text, entry, credits_used::integer from credit_usage_attribution order by entry, 1"
    )
    assert list(map(tuple, entries)) == [("charged", 0, 10), ("void", 0, 0), ("charged", 1, -10)]


async def test_a_batch_settles_in_its_order_whatever_it_takes_back(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    settled = await settlement.settle(
        [usage("a", "100"), void("a"), usage("b", "100"), void("c"), usage("c", "40"), usage("d", "50")]
    )

    assert outcomes(settled) == ["charged", "void", "charged", "void", "overage", "overage"]
    assert await pool_of(owner) == (100, 50, 0, 0, 0)


async def test_a_void_counts_once_however_often_it_comes(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    settled = await settlement.settle(
        [
            usage("e"),
            void("e"),
            void("e"),
            void("e", unknown=1),
            void("e", reason="another"),
            void("e", "2nd"),
        ]
    )

    assert outcomes(settled) == ["charged", "void", "duplicate", "duplicate", "conflict", "void"]
    assert outcomes(await settlement.settle([usage("e"), usage("void e")])) == ["duplicate", "conflict"]
    assert await pool_of(owner) == (0, 0, 0, 0, 0)
    assert await owner.fetchval("select count(*) from credit_usage_attribution") == 4


async def test_a_void_of_a_void_is_refused_unless_it_came_first(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    assert outcomes(await settlement.settle([usage("e"), void("v", "w")])) == ["charged", "void"]
    assert await pool_of(owner) == (10, 0, 0, 0, 1)
    settled = await settlement.settle([void("e", "v"), void("v", "x"), void("self", "self")])

    assert outcomes(settled) == ["void", "void_of_void", "void_of_void"]
    assert outcomes(await settlement.settle([void("v", "y")])) == ["void_of_void"]
    assert await pool_of(owner) == (0, 0, 0, 0, 0)


async def test_billed_overage_falls_only_by_what_is_not_owed_any_more(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    await settlement.settle([usage("paid", "100"), usage("a", "20"), usage("b", "30")])
    await owner.execute(
        """
        update organization_credit_pools set overage_billed_credits = 25;
        insert into org_billing_history (org_id, event_type, balance, credits, actor)
        values ('acme', 'invoice', 'overage_billed', 25, 'tests')
        """
    )

    await settlement.settle([void("a")])
    assert await pool_of(owner) == (100, 30, 25, 0, 0)
    await settlement.settle([void("b")])
    assert await pool_of(owner) == (100, 0, 0, 0, 0)
    credited = await owner.fetch(
        "select credits from org_billing_history where event_type = 'overage_voided'"
    )
    assert [row["credits"] for row in credited] == [-25]


async def test_what_comes_free_pays_for_what_was_unfunded(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    await settlement.settle(
        [usage("paid", "100"), usage("over", "45"), usage("open", "60"), usage("late", "1")]
    )
    await settlement.settle([void("late"), void("paid")])

    assert tuple(await owner.fetchrow("select * from fund_waiting_organizations()")) == ("acme", 1)
    assert await pool_of(owner) == (60, 45, 0, 0, 0)
    assert outcomes(await settlement.settle([void("open")])) == ["void"]
    assert await pool_of(owner) == (0, 45, 0, 0, 0)
    assert await owner.fetchval("select count(*) from open_usage_events") == 0


async def test_a_limit_is_given_back_only_within_its_period(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    await owner.execute("select allocate_credits_to_user('acme', 'alice', 100, p_reset_period => 'daily')")
    await settlement.settle([usage("before")])
    await owner.execute(
        "update user_credit_allocations set next_reset_date = now(); select reset_allocations()"
    )
    await settlement.settle([usage("after", "7"), usage("kept", "5")])

    await settlement.settle([void("before"), void("after")])

    assert await owner.fetchval("select used_credits from user_credit_allocations") == 5
    assert await pool_of(owner) == (5, 0, 0, 0, 0)


async def test_overage_comes_back_to_the_limit_it_was_held_to(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    await owner.execute("select allocate_credits_to_user('acme', 'alice', 100)")
    await owner.execute("select deduct_credits('acme', 'bob', 80, 'llm')")
    assert outcomes(await settlement.settle([usage("e", "30")])) == ["overage"]

    await settlement.settle([void("e")])

    assert await owner.fetchval("select used_credits from user_credit_allocations") == 0
    assert await pool_of(owner) == (80, 0, 0, 0, 0)


async def test_a_charge_by_hand_of_what_was_taken_back_is_refused_and_writes_nothing(
    settlement: Settlement, owner: asyncpg.Connection
) -> None:
    await settlement.settle([void("e"), usage("free", "0"), void("free")])
    for event_id, credits in (("e", 10), ("free", 0)):
        with pytest.raises(asyncpg.PostgresError) as refusal:
            await owner.fetch(
                "select deduct_credits('acme', 'alice', $2, 'llm', p_event_id => $1, p_source => 'tests', "
                "p_occurred_at => $3)",
                event_id,
                Decimal(credits),
                datetime.fromisoformat(NOW),
            )
        assert refusal.value.sqlstate == "MT004"
    assert await pool_of(owner) == (0, 0, 0, 0, 1)


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
    assert (entry.event_id, entry.user_id, entry.credits_used) == ("void e", None, 0)
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
