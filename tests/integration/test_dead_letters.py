"""``meter dead-letters``: looking changes nothing, replaying loses nothing, discarding leaves a trace."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

import pytest
from aiormq import connect
from tests.kept_dead_letters import Buried, bodies, bury, started, typed
from tests.malformed import body
from tests.running_worker import Ledger, UsageSide, ledger, running_worker, until

from meter.events import CONTENT_TYPE_BATCH
from meter.local.rabbitmq_files import REPLAYER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiormq.abc import AbstractChannel
    from tests.private_servers import Broker, FreshDatabase


@pytest.fixture
async def channel(broker: Broker, services: UsageSide) -> AsyncIterator[AbstractChannel]:
    async with connect(broker.operator_url) as connection:
        yield await connection.channel()


@pytest.fixture
def replayer_url(broker: Broker) -> str:
    return broker.server.url(REPLAYER, broker.vhost)


@pytest.fixture
async def books(database: FreshDatabase) -> AsyncIterator[Ledger]:
    async with ledger(database.dsn) as opened:
        yield opened


def _id(letter: bytes) -> str:
    return hashlib.sha256(letter).hexdigest()[:16]


MIXED = [
    Buried(b"one", "conflict", "acme", "event-1", "2026-01-01T00:00:00Z"),
    Buried(b"two", "unknown_organization", "ghost", "event-2", "2026-01-02T00:00:00Z"),
    Buried(b"three", "unknown_organization", "acme", "event-3", "2026-01-03T00:00:00Z"),
    Buried(b"[\xff\x1b[31m", "unreadable", None, None, "2026-01-04T00:00:00Z", CONTENT_TYPE_BATCH),
]


async def test_listing_page_after_page_changes_neither_the_letters_nor_their_order(
    channel: AbstractChannel, replayer_url: str
) -> None:
    letters = [Buried(b"letter %d" % number, event_id=f"event-{number}") for number in range(450)]
    await bury(channel, letters)
    for _ in range(2):
        listed = await typed("list", "--json", amqp_url=replayer_url)
        assert (listed.code, listed.err) == (0, "")
        assert [row["id"] for row in json.loads(listed.out)] == [_id(letter.body) for letter in letters]
    shown = await typed("list", amqp_url=replayer_url)
    assert shown.code == 0
    assert b"450 dead letters: 450 unknown_organization" in shown.out
    assert b"the first 100 are shown" in shown.out
    few = await typed("list", "--json", "--limit", "3", amqp_url=replayer_url)
    assert len(json.loads(few.out)) == 3
    assert await bodies(channel) == [letter.body for letter in letters]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), [0, 1, 2, 3]),
        (("--reason", "unknown_organization"), [1, 2]),
        (("--reason", "conflict", "--reason", "unreadable"), [0, 3]),
        (("--org", "acme"), [0, 2]),
        (("--org", "acme", "--reason", "conflict"), [0]),
        (("--since", "2026-01-02", "--until", "2026-01-04T00:00:00Z"), [1, 2]),
        (("--until", "2026-01-02T01:00:00+02:00"), [0]),
        (("--org", "nobody"), []),
    ],
)
async def test_filters_select_by_reason_organization_and_time(
    channel: AbstractChannel, replayer_url: str, arguments: tuple[str, ...], expected: list[int]
) -> None:
    await bury(channel, MIXED)
    listed = await typed("list", "--json", *arguments, amqp_url=replayer_url)
    assert listed.code == 0
    assert [row["id"] for row in json.loads(listed.out)] == [_id(MIXED[index].body) for index in expected]


async def test_one_letter_is_shown_in_full_and_exactly(channel: AbstractChannel, replayer_url: str) -> None:
    await bury(channel, MIXED)
    unreadable = MIXED[3].body
    told = await typed("show", _id(unreadable)[:6], "--json", amqp_url=replayer_url)
    facts = json.loads(told.out)
    assert facts["reason"] == "unreadable"
    assert facts["sentence"] == "a sentence about unreadable"
    assert facts["first_seen"] == "2026-01-04T00:00:00Z"
    assert (facts["attempts"], facts["origin_queue"], facts["part"]) == (2, "meter.usage", "message")
    assert (facts["org_id"], facts["event_id"]) == (None, None)
    assert facts["content_type"] == CONTENT_TYPE_BATCH
    assert facts["body"] is None
    assert base64.b64decode(facts["body_base64"]) == unreadable
    raw = await typed("show", _id(unreadable), "--raw", amqp_url=replayer_url)
    assert raw.out == unreadable
    shown = await typed("show", _id(unreadable), amqp_url=replayer_url)
    # Whoever published it does not get to write to the operator's terminal.
    assert b"\x1b" not in shown.out
    assert rb"\xff\x1b[31m" in shown.out
    unknown = await typed("show", "abcdef", amqp_url=replayer_url)
    assert (unknown.code, unknown.out) == (1, b"")
    assert "no dead letter has the id abcdef" in unknown.err
    assert await bodies(channel) == [letter.body for letter in MIXED]


async def test_nothing_happens_before_somebody_has_agreed_to_the_number(
    channel: AbstractChannel, replayer_url: str, services: UsageSide, database: FreshDatabase
) -> None:
    await bury(channel, MIXED)
    asked = await typed("replay", "--org", "acme", amqp_url=replayer_url, answer=b"n\n")
    assert asked.code == 1
    assert "replay 2 dead letters?" in asked.err
    asked = await typed(
        "discard", "--reason-text", "a test", amqp_url=replayer_url, dsn=database.dsn, answer=b"n\n"
    )
    assert asked.code == 1
    assert "throw away 4 dead letters?" in asked.err
    asked = await typed("replay", "--json", amqp_url=replayer_url)
    assert asked.code == 2
    assert await services.ready("meter.usage") == 0
    agreed = await typed("replay", "--org", "acme", amqp_url=replayer_url, answer=b"y\n")
    assert (agreed.code, agreed.out) == (0, b"replayed 2 dead letters\n")
    assert await services.ready("meter.usage") == 2
    assert await bodies(channel) == [MIXED[1].body, MIXED[3].body]


async def test_an_empty_queue_is_no_failure(
    services: UsageSide, replayer_url: str, database: FreshDatabase
) -> None:
    listed = await typed("list", amqp_url=replayer_url)
    assert (listed.code, listed.out) == (0, b"none\n")
    assert json.loads((await typed("list", "--json", amqp_url=replayer_url)).out) == []
    replayed = await typed("replay", "--yes", "--json", amqp_url=replayer_url)
    assert (replayed.code, json.loads(replayed.out)) == (0, {"matching": 0, "replayed": 0})
    discarded = await typed("discard", "--reason-text", "none", amqp_url=replayer_url, dsn=database.dsn)
    assert discarded.code == 0


async def test_replaying_everything_once_the_organization_exists_charges_everything_once(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide, replayer_url: str
) -> None:
    async with running_worker(database.dsn, broker.worker_url) as worker:
        for start in range(0, 2_000, 200):
            await services.publish_batch(body("acme", start + number) for number in range(200))
        await services.publish_events(body("acme", number) for number in range(2_000, 2_500))
        await until(lambda: services.ready("meter.dead"), lambda ready: ready == 2_500)
        await worker.stop()
    await books.add_organization("acme")

    process = await started("replay", "--yes", "--reason", "unknown_organization", amqp_url=replayer_url)
    await until(lambda: services.ready("meter.usage"), lambda ready: ready >= 500)
    process.kill()
    await process.wait()
    # Killed half-way: everything is in one of the queues, a copy of some of it in both.
    await until(lambda: services.ready("meter.dead"), lambda ready: ready > 0)
    in_usage = await services.ready("meter.usage")
    assert 500 <= in_usage < 2_500
    await until(lambda: services.ready("meter.dead"), lambda ready: ready + in_usage >= 2_500)

    async def replay_again() -> int:
        again = await typed("replay", "--yes", "--json", amqp_url=replayer_url)
        assert again.code == 0
        return await services.ready("meter.dead")

    await until(replay_again, lambda left: left == 0)
    async with running_worker(database.dsn, broker.worker_url) as worker:
        assert await books.settled(2_500) == {"charged": 2_500}
        await until(lambda: services.ready("meter.usage"), lambda ready: ready == 0)
        assert await worker.stop() < 10
    assert await services.ready("meter.dead") == 0
    used = await books.connection.fetchval("select used_credits from organization_credit_pools")
    assert used == 2_500 * 10


async def test_what_nobody_takes_stays_a_dead_letter(
    broker: Broker, channel: AbstractChannel, replayer_url: str
) -> None:
    await bury(channel, MIXED)
    (await broker.api.delete(f"queues/{broker.vhost}/meter.usage")).raise_for_status()
    refused = await typed("replay", "--yes", amqp_url=replayer_url)
    assert (refused.code, refused.out) == (1, b"")
    assert refused.err.startswith("Error: no queue takes what is published to meter.usage")
    assert await bodies(channel) == [letter.body for letter in MIXED]


async def test_who_discarded_what_and_why_is_written_down(
    channel: AbstractChannel, replayer_url: str, database: FreshDatabase, books: Ledger
) -> None:
    await bury(channel, MIXED)
    done = await typed(
        *("discard", _id(MIXED[0].body), _id(MIXED[3].body)[:8], "--reason-text", "a load test"),
        *("--by", "erin", "--yes", "--json"),
        amqp_url=replayer_url,
        dsn=database.dsn,
    )
    assert (done.code, json.loads(done.out)) == (0, {"matching": 2, "discarded": 2})
    rows = await books.connection.fetch(
        """
        select discarded_by, why, reason, org_id, event_id, first_seen::date::text, body_sha256, body_bytes,
               discarded_at > now() - interval '1 minute' as is_recent
        from dead_letter_discards order by discard_id
        """
    )
    assert [tuple(row) for row in rows] == [
        (
            *("erin", "a load test", letter.reason, letter.org_id, letter.event_id, letter.first_seen[:10]),
            *(hashlib.sha256(letter.body).digest(), len(letter.body), True),
        )
        for letter in (MIXED[0], MIXED[3])
    ]
    assert await bodies(channel) == [MIXED[1].body, MIXED[2].body]


async def test_nothing_is_thrown_away_before_it_is_written_down(
    channel: AbstractChannel, services: UsageSide, replayer_url: str, database: FreshDatabase, books: Ledger
) -> None:
    await bury(channel, MIXED)
    discard = ("discard", "--reason-text", "a test", "--yes")
    async with books.connection.transaction():
        await books.connection.execute("lock table dead_letter_discards")
        process = await started(*discard, amqp_url=replayer_url, dsn=database.dsn)
        await until(
            lambda: books.connection.fetchval(
                "select count(*) from pg_locks "
                "where not granted and relation = 'dead_letter_discards'::regclass"
            ),
            lambda waiting: waiting == 1,
        )
        process.kill()
        await process.wait()
    away = await typed(*discard, amqp_url=replayer_url, dsn="postgresql://nobody@127.0.0.1:1/none")
    assert (away.code, away.out) == (1, b"")
    assert "the database does not answer" in away.err
    await until(lambda: services.ready("meter.dead"), lambda ready: ready == len(MIXED))
    assert {*await bodies(channel)} == {letter.body for letter in MIXED}


@pytest.mark.parametrize("who", ["worker_url", "publisher_url"])
async def test_a_broker_user_without_the_right_is_told_which(
    broker: Broker, channel: AbstractChannel, who: str
) -> None:
    await bury(channel, MIXED)
    refused = await typed("list", amqp_url=getattr(broker, who))
    assert (refused.code, refused.out) == (1, b"")
    assert "it takes a user that may read meter.dead and, to replay, write to meter.usage" in refused.err
    assert "Traceback" not in refused.err
    assert await bodies(channel) == [letter.body for letter in MIXED]


async def test_a_broker_that_is_away_is_told_in_one_sentence() -> None:
    away = await typed("list", amqp_url="amqp://nobody:secret@127.0.0.1:1/none")
    assert away.code == 1
    assert away.err.startswith("Error: ")
    assert "check METER_AMQP_URL" in away.err
    assert len(away.err.splitlines()) == 1
    assert "secret" not in away.err
