"""A broker that is short of memory or disk reads nothing more from who publishes, until it is not."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from tests.malformed import body
from tests.running_worker import Ledger, UsageSide, running_worker, until
from tests.usage_queue import usage_queue

from meter.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.private_servers import Broker, FreshDatabase

ALARMS = {
    "memory": (
        "vm_memory_monitor:set_vm_memory_high_watermark(0.00000001).",
        "vm_memory_monitor:set_vm_memory_high_watermark({absolute, 1073741824}).",
    ),
    "disk": (
        "rabbit_disk_monitor:set_disk_free_limit(1000000000000000).",
        "rabbit_disk_monitor:set_disk_free_limit(536870912).",
    ),
}


@asynccontextmanager
async def short_of(broker: Broker, what: str) -> AsyncIterator[None]:
    """Let the broker find that it is short of something."""

    async def alarms() -> str:
        return await broker.server.evaluate("rabbit_alarm:get_alarms().")

    short, enough = ALARMS[what]
    await broker.server.evaluate(short)
    try:
        await until(alarms, lambda said: what in said)
        yield
    finally:
        await broker.server.evaluate(enough)
        await until(alarms, lambda said: said == "{ok, []}")


@pytest.mark.parametrize("what", ALARMS)
async def test_a_publisher_keeps_what_it_accepts_while_the_broker_is_short(broker: Broker, what: str) -> None:
    async with usage_queue(broker.operator_url) as queue:
        async with Publisher(broker.publisher_url, source="svc", confirm_seconds=0.5) as sender:
            ids = {sender.record("acme", "alice", "llm")}
            assert await sender.flush(30) == 0
            async with short_of(broker, what):
                ids |= {sender.record("acme", "alice", "llm") for _ in range(1_000)}
                # Longer than a confirm may take: it is waited for on the same connection.
                assert await sender.flush(2) > 0
            assert await sender.flush(30) == 0
            assert sender.counters.retried == 0
        assert {event.id for event in await queue.events()} == ids


async def test_while_the_broker_is_short_a_full_buffer_refuses_loudly_and_a_spool_does_not(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with (
        usage_queue(broker.operator_url) as queue,
        Publisher(broker.publisher_url, source="svc", max_events=100) as bounded,
        Publisher(broker.publisher_url, source="svc", max_events=100, spool=tmp_path) as spooled,
    ):
        async with short_of(broker, "memory"):
            kept = [spooled.record("acme", "alice", "llm") for _ in range(2_000)]
            taken = [bounded.record("acme", "alice", "llm") for _ in range(150)]
            assert None not in kept
            assert taken[100:] == [None] * 50
            assert bounded.counters.dropped == 50
            assert "usage events are being dropped" in caplog.text
            assert await spooled.flush(1) > 0
        assert await spooled.flush(30) == await bounded.flush(30) == 0
        assert {event.id for event in await queue.events()} == {*kept, *taken} - {None}


async def test_a_worker_settles_what_there_is_while_the_broker_is_short_and_only_dead_letters_wait(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    for start in range(0, 2_000, 200):
        await services.publish_batch(body("acme", start + number) for number in range(200))
    await services.publish_events([b"not json", body("acme", 9_000)])
    async with short_of(broker, "memory"), running_worker(database.dsn, broker.worker_url) as worker:
        assert await books.settled(2_001) == {"charged": 2_001}
        await worker.says("dead letters wait: the broker is short of memory or disk")
        assert "short of memory" in (await worker.get("/readyz")).json()["checks"]["consuming"]
        await _calm(broker)
        await worker.says("dead letters are confirmed again")
        (letter,) = await services.dead_letters(1)
        assert letter.body == b"not json"
        await until(worker.is_ready, bool)
        # It never left the broker for it, and nothing is delivered again.
        assert sum(line["event"] == "consuming" for line in worker.lines) == 1
        assert await worker.metric('meter_events_total{outcome="duplicate"}') == 0
        assert await worker.stop() < 10
    assert await services.ready("meter.usage") == 0


async def _calm(broker: Broker) -> None:
    await broker.server.evaluate(ALARMS["memory"][1])
