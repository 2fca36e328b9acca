"""What a publisher recorded is on the queue: exactly once, in good times."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from decimal import Decimal
from typing import TYPE_CHECKING

import aiormq
import pytest
from tests.usage_queue import usage_queue

from meter.events import CONTENT_TYPE_BATCH, MESSAGE_MAX_BYTES, MESSAGE_MAX_EVENTS
from meter.publisher import BlockingPublisher, Publisher

if TYPE_CHECKING:
    from tests.private_servers import Broker


async def test_confirmed_events_are_on_the_queue_exactly(broker: Broker) -> None:
    async with (
        usage_queue(broker.operator_url) as queue,
        Publisher(broker.publisher_url, source="svc") as sender,
    ):
        recorded = {
            sender.record(
                f"org-{number % 7}",
                f"user-{number}",
                "llm",
                api_cost=Decimal(number) / 1_000,
                metadata={"input_tokens": number},
            ): number
            for number in range(2_500)
        }
        assert await sender.flush(30) == 0
        events = await queue.events()
    assert len(events) == len(recorded) == 2_500
    assert {event.id: event.numbers["input_tokens"] for event in events} == recorded
    assert all(event.api_cost == recorded[event.id] * 1_000 for event in events)
    counters = sender.counters
    assert (counters.recorded, counters.confirmed, counters.buffered) == (2_500, 2_500, 0)
    assert (counters.dropped, counters.retried, counters.returned, counters.buffered_bytes) == (0, 0, 0, 0)


async def test_a_message_carries_what_the_contract_asks_for(broker: Broker) -> None:
    before = time.time_ns() // 1_000
    async with (
        usage_queue(broker.operator_url) as queue,
        Publisher(broker.publisher_url, source="svc") as sender,
    ):
        sender.record("acme", "alice", "llm")
        sender.record("umbrella", "bob", "llm")
        assert await sender.flush(30) == 0
        (message,) = await queue.messages()
    properties = message.header.properties
    assert isinstance(message.delivery, aiormq.spec.Basic.GetOk)
    assert (message.delivery.exchange, message.delivery.routing_key) == ("meter.usage", "acme")
    assert (properties.content_type, properties.delivery_mode) == (CONTENT_TYPE_BATCH, 2)
    assert properties.headers is not None
    published_at = properties.headers["meter-published-at"]
    assert isinstance(published_at, int)
    assert before <= published_at <= time.time_ns() // 1_000


async def test_messages_stay_within_the_limits(broker: Broker) -> None:
    async with (
        usage_queue(broker.operator_url) as queue,
        Publisher(broker.publisher_url, source="svc") as sender,
    ):
        for _ in range(300):
            sender.record("acme", "alice", "llm", metadata={"text": "ü" * 3_900})
        for _ in range(2 * MESSAGE_MAX_EVENTS):
            sender.record("acme", "alice", "llm")
        assert await sender.flush(30) == 0
        messages = await queue.messages()
    assert all(len(message.body) <= MESSAGE_MAX_BYTES for message in messages)
    assert max(len(message.body) for message in messages) > MESSAGE_MAX_BYTES - 9_000


async def test_a_single_event_is_sent_without_flushing(broker: Broker) -> None:
    arrived: asyncio.Queue[bytes] = asyncio.Queue()

    async def on_message(message: aiormq.abc.DeliveredMessage) -> None:
        arrived.put_nowait(message.body)

    async with (
        usage_queue(broker.operator_url),
        aiormq.connect(broker.operator_url) as connection,
        Publisher(broker.publisher_url, source="svc") as sender,
    ):
        channel = await connection.channel()
        await channel.basic_consume("meter.usage", on_message, no_ack=True)
        event_id = sender.record("acme", "alice", "llm")
        async with asyncio.timeout(10):
            assert str(event_id).encode() in await arrived.get()


async def test_events_recorded_before_the_publisher_opens_are_sent_when_it_does(broker: Broker) -> None:
    sender = Publisher(broker.publisher_url, source="svc")
    event_id = sender.record("acme", "alice", "llm")
    async with usage_queue(broker.operator_url) as queue:
        await sender.open()
        assert await sender.close(30) == 0
        assert [event.id for event in await queue.events()] == [event_id]


async def test_record_of_the_asyncio_publisher_may_be_called_from_threads(broker: Broker) -> None:
    async with (
        usage_queue(broker.operator_url) as queue,
        Publisher(broker.publisher_url, source="svc") as sender,
    ):
        ids = await asyncio.gather(
            *(asyncio.to_thread(sender.record, "acme", f"user-{number}", "llm") for number in range(100))
        )
        assert await sender.flush(30) == 0
        assert {event.id for event in await queue.events()} == set(ids)


async def test_eight_threads_lose_nothing_and_repeat_nothing(broker: Broker) -> None:
    recorded: list[list[str | None]] = [[] for _ in range(8)]

    def work(mine: list[str | None]) -> None:
        for _ in range(10_000):
            mine.append(sender.record("acme", "alice", "llm"))  # noqa: PERF401 - as a service does, one by one

    async with usage_queue(broker.operator_url) as queue:
        with BlockingPublisher(broker.publisher_url, source="svc") as sender:
            threads = [threading.Thread(target=work, args=(mine,)) for mine in recorded]
            for thread in threads:
                thread.start()
            for thread in threads:
                await asyncio.to_thread(thread.join)
            assert await asyncio.to_thread(sender.flush, 60) == 0
        events = await queue.events()
    ids = [event_id for mine in recorded for event_id in mine]
    assert None not in ids
    assert len(events) == len(ids) == 80_000
    assert {event.id for event in events} == set(ids)
    assert sender.counters.confirmed == 80_000


async def test_the_thread_of_a_blocking_publisher_ends_with_it(broker: Broker) -> None:
    async with usage_queue(broker.operator_url):
        sender = BlockingPublisher(broker.publisher_url, source="svc", name="the thread under test")
        sender.record("acme", "alice", "llm")
        assert "the thread under test" in {thread.name for thread in threading.enumerate()}
        assert await asyncio.to_thread(sender.close) == 0
        assert await asyncio.to_thread(sender.close) == 0
    assert "the thread under test" not in {thread.name for thread in threading.enumerate()}
    assert sender.record("acme", "alice", "llm") is None


def run(program: str, url: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program, url], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


AT_EXIT = """
import sys
from meter.publisher import BlockingPublisher

print(BlockingPublisher(sys.argv[1], source="svc").record("acme", "alice", "llm"))
"""

FORKING = """
import os, sys, warnings
from meter.publisher import BlockingPublisher

warnings.simplefilter("ignore", DeprecationWarning)
sender = BlockingPublisher(sys.argv[1], source="svc")
print(sender.record("acme", "parent", "llm"), flush=True)
assert sender.flush(30) == 0
sender.record("acme", "parent", "llm", id="of the parent alone")
child = os.fork()
if child == 0:
    print(sender.record("acme", "child", "llm"), flush=True)
    left = sender.close(30)
    os._exit(left)
assert os.waitpid(child, 0)[1] == 0
print(sender.record("acme", "parent", "llm"))
assert sender.close(30) == 0
"""


WITHOUT_FILES = """
import os, resource, sys
from meter.publisher import BlockingPublisher

_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
sender = BlockingPublisher(sys.argv[1], source="svc")
lowest_free = os.dup(0)
os.close(lowest_free)
resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
print(sender.record("acme", "alice", "llm"))
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
assert sender.counters.buffered == 1
assert sender.close(30) == 0
"""


async def test_a_process_out_of_files_keeps_its_events_until_it_has_some(broker: Broker) -> None:
    async with usage_queue(broker.operator_url) as queue:
        ids = await asyncio.to_thread(run, WITHOUT_FILES, broker.publisher_url)
        assert [event.id for event in await queue.events()] == ids


async def test_nothing_is_lost_when_a_program_ends_without_closing(broker: Broker) -> None:
    async with usage_queue(broker.operator_url) as queue:
        ids = await asyncio.to_thread(run, AT_EXIT, broker.publisher_url)
        assert [event.id for event in await queue.events()] == ids


async def test_a_forked_child_publishes_its_own_events_and_only_those(broker: Broker) -> None:
    async with usage_queue(broker.operator_url) as queue:
        ids = await asyncio.to_thread(run, FORKING, broker.publisher_url)
        found = sorted(event.id for event in await queue.events())
    assert len(ids) == 3
    assert found == sorted([*ids, "of the parent alone"])


async def test_operators_see_who_is_connected(broker: Broker) -> None:
    async with usage_queue(broker.operator_url), Publisher(broker.publisher_url, source="chat") as sender:
        sender.record("acme", "alice", "llm")
        assert await sender.flush(30) == 0
        async with asyncio.timeout(30):
            while (
                "meter publisher chat"
                not in (await broker.api.get(f"vhosts/{broker.vhost}/connections")).text
            ):
                sender.record("acme", "alice", "llm")
                await sender.flush(1)


@pytest.mark.parametrize("kind", ["async", "blocking"])
async def test_flushing_nothing_returns_at_once(broker: Broker, kind: str) -> None:
    if kind == "async":
        async with Publisher(broker.publisher_url, source="svc") as sender:
            assert await sender.flush() == 0
    else:
        with BlockingPublisher(broker.publisher_url, source="svc") as blocking:
            assert await asyncio.to_thread(blocking.flush) == 0
            assert await asyncio.to_thread(blocking.room) is True
