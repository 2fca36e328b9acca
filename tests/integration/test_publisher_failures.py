"""What a publisher recorded reaches the queue: in bad times too."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import pamqp.frame
from pamqp import commands
from tests.tcp_proxy import TcpProxy, tcp_proxy
from tests.usage_queue import usage_queue
from yarl import URL

from meter.publisher import BlockingPublisher, Publisher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import pytest
    from tests.private_servers import Broker


@asynccontextmanager
async def behind_proxy(broker: Broker) -> AsyncIterator[tuple[TcpProxy, str]]:
    url = URL(broker.publisher_url)
    assert url.host is not None
    assert url.port is not None
    async with tcp_proxy(url.host, url.port) as proxy:
        yield proxy, str(url.with_port(proxy.port))


async def test_a_broker_that_comes_later_gets_everything(broker: Broker) -> None:
    async with usage_queue(broker.operator_url) as queue, behind_proxy(broker) as (proxy, url):
        await proxy.refuse()
        async with Publisher(url, source="svc") as sender:
            ids = {sender.record("acme", "alice", "llm") for _ in range(1_500)}
            assert None not in ids
            assert await sender.flush(0.2) == 1_500
            await proxy.listen()
            assert await sender.flush(30) == 0
        events = await queue.events()
    assert len(events) == 1_500
    assert {event.id for event in events} == ids


async def test_connections_cut_again_and_again_lose_nothing(broker: Broker) -> None:
    async with usage_queue(broker.operator_url) as queue, behind_proxy(broker) as (proxy, url):
        async with Publisher(url, source="svc") as sender:
            ids = set()
            for cuts in range(1, 5):
                for _ in range(5):
                    ids |= {sender.record("acme", "alice", "llm") for _ in range(1_000)}
                    await sender.flush(0.001)
                async with asyncio.timeout(30):
                    await proxy.connected(cuts)
                proxy.cut()
            assert await sender.flush(30) == 0
        events = await queue.events()
    assert {event.id for event in events} == ids
    assert sender.counters.confirmed == len(ids) == 20_000
    assert proxy.connections >= 5


async def test_a_broker_that_goes_silent_is_dropped_and_dialled_again(broker: Broker) -> None:
    async with usage_queue(broker.operator_url) as queue, behind_proxy(broker) as (proxy, url):
        async with Publisher(url, source="svc", confirm_seconds=0.3) as sender:
            sender.record("acme", "alice", "llm")
            assert await sender.flush(30) == 0
            proxy.silence()
            event_id = sender.record("acme", "alice", "llm")
            assert await sender.flush(30) == 0
        assert event_id in {event.id for event in await queue.events()}
    assert proxy.connections == 2
    assert sender.counters.retried == 1


async def test_a_broker_that_goes_on_refusing_is_tried_over_another_connection(broker: Broker) -> None:
    async with (
        usage_queue(broker.operator_url, declared=False) as queue,
        behind_proxy(broker) as (proxy, url),
    ):
        await queue.declare_with_room_for(messages=1)
        async with Publisher(url, source="svc") as sender:
            ids = set()
            async with asyncio.timeout(30):
                while proxy.connections < 2:
                    ids.add(sender.record("acme", "alice", "llm"))
                    await sender.flush(0.2)
            events = []
            async with asyncio.timeout(30):
                while await sender.flush(0.2):
                    events += await queue.events()
        events += await queue.events()
    assert sender.counters.retried >= 3
    assert {event.id for event in events} == ids


async def test_a_silent_broker_does_not_hold_up_closing(broker: Broker) -> None:
    async with usage_queue(broker.operator_url), behind_proxy(broker) as (proxy, url):
        sender = await Publisher(url, source="svc").open()
        sender.record("acme", "alice", "llm")
        assert await sender.flush(30) == 0
        proxy.silence()
        for _ in range(100):
            for _ in range(1_000):
                sender.record("acme", "alice", "llm", metadata={"text": "x" * 200})
            await sender.flush(0.001)
        begun = time.monotonic()
        assert await sender.close(0.2) > 0
        assert time.monotonic() - begun < 5


class Listening(logging.Handler):
    """Sets an event when words are logged."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words
        self.heard = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if self.words in record.getMessage():
            self.heard.set()


@contextmanager
def listening(logger: str, words: str) -> Iterator[asyncio.Event]:
    handler = Listening(words)
    logging.getLogger(logger).addHandler(handler)
    try:
        yield handler.heard
    finally:
        logging.getLogger(logger).removeHandler(handler)


async def test_a_blocked_broker_is_waited_for_and_not_dialled_again(broker: Broker) -> None:
    async with usage_queue(broker.operator_url) as queue, behind_proxy(broker) as (proxy, url):
        async with Publisher(url, source="svc", confirm_seconds=0.2) as sender:
            sender.record("acme", "alice", "llm")
            assert await sender.flush(30) == 0
            with listening("aiormq.connection", "low on memory") as heard:
                proxy.say(pamqp.frame.marshal(commands.Connection.Blocked("low on memory"), 0))
                await asyncio.wait_for(heard.wait(), 10)
            event_id = sender.record("acme", "alice", "llm")
            assert await sender.flush(1) == 1
            assert sender.record("acme", "alice", "llm") is not None
            proxy.say(pamqp.frame.marshal(commands.Connection.Unblocked(), 0))
            assert await sender.flush(30) == 0
        assert event_id in {event.id for event in await queue.events()}
    assert proxy.connections == 1
    assert sender.counters.retried == 0


async def test_a_broker_blocked_with_messages_on_their_way_is_waited_for(broker: Broker) -> None:
    async with (
        usage_queue(broker.operator_url),
        behind_proxy(broker) as (proxy, url),
        Publisher(url, source="svc", confirm_seconds=0.2) as sender,
    ):
        sender.record("acme", "alice", "llm")
        assert await sender.flush(30) == 0
        silenced = proxy.silence()
        sender.record("acme", "alice", "llm")
        proxy.say(pamqp.frame.marshal(commands.Connection.Blocked("low on disk"), 0))
        assert await sender.flush(1) == 1
        proxy.say(pamqp.frame.marshal(commands.Connection.Unblocked(), 0))
        silenced.set()
        assert await sender.flush(30) == 0
        assert proxy.connections == 1


async def test_events_nobody_can_take_yet_are_kept_until_somebody_can(broker: Broker) -> None:
    async with usage_queue(broker.operator_url, declared=False) as queue:
        async with Publisher(broker.publisher_url, source="svc") as sender:
            ids = {sender.record("acme", "alice", "llm") for _ in range(10)}
            assert await sender.flush(0.5) == 10  # there is not even the exchange
            await queue.declare_exchange_only()
            async with asyncio.timeout(30):
                while sender.counters.returned == 0:
                    assert await sender.flush(0.1) == 10  # there is no queue behind it
            await queue.declare()
            assert await sender.flush(30) == 0
        events = await queue.events()
    assert {event.id for event in events} == ids
    assert len(events) == 10
    assert sender.counters.retried >= sender.counters.returned >= 10


async def test_a_full_buffer_drops_new_events_and_delivers_the_accepted_ones(broker: Broker) -> None:
    async with usage_queue(broker.operator_url) as queue, behind_proxy(broker) as (proxy, url):
        await proxy.refuse()
        async with Publisher(url, source="svc", max_events=100) as sender:
            ids = [sender.record("acme", "alice", "llm") for _ in range(150)]
            assert ids[100:] == [None] * 50
            assert sender.counters.dropped == 50
            assert not await sender.room(0.1)
            await proxy.listen()
            assert await sender.room(30)
            ids.append(sender.record("acme", "alice", "llm"))
            assert ids[-1] is not None
            assert await sender.flush(30) == 0
        events = await queue.events()
    assert {event.id for event in events} == set(ids) - {None}
    assert len(events) == 101
    assert sender.counters.dropped == 50


async def test_closing_without_a_broker_returns_in_time_and_tells_what_is_left(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    async with behind_proxy(broker) as (proxy, url):
        await proxy.refuse()
        sender = await Publisher(url, source="svc").open()
        for _ in range(42):
            sender.record("acme", "alice", "llm")
        begun = time.monotonic()
        assert await sender.close(0.3) == 42
        assert 0.3 <= time.monotonic() - begun < 3
        assert await sender.close() == await sender.flush() == 42
        assert await sender.room()
    assert caplog.text.count("42 usage events") == 1
    assert sender.counters.buffered == 42


async def test_a_blocking_publisher_without_a_broker_closes_in_time(broker: Broker) -> None:
    async with behind_proxy(broker) as (proxy, url):
        await proxy.refuse()
        sender = BlockingPublisher(url, source="svc")
        assert sender.record("acme", "alice", "llm") is not None
        begun = time.monotonic()
        assert await asyncio.to_thread(sender.close, 0.3) == 1
        assert sender.close() == sender.flush() == 1
        assert sender.room()
        assert time.monotonic() - begun < 3


async def test_a_wrong_password_is_complained_about_and_not_shown(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    url = str(URL(broker.publisher_url).with_password("hush-hush"))
    caplog.set_level(logging.DEBUG)
    sender = await Publisher(url, source="svc").open()
    assert sender.record("acme", "alice", "llm") is not None
    assert await sender.close(1) == 1
    assert "events are kept" in caplog.text
    assert "hush-hush" not in caplog.text
