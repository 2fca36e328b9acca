"""What a publisher with a spool accepted reaches the queue, whatever becomes of publisher and broker."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from tests.publishing_services import behind_proxy, files_in, only, program
from tests.running_worker import DEADLINE_S
from tests.usage_queue import usage_queue

from meter.publisher import BlockingPublisher, FsyncPolicy, Publisher

if TYPE_CHECKING:
    from pathlib import Path

    from tests.private_servers import Broker

UNDER_LOAD = """
import os, sys, threading
from meter.publisher import BlockingPublisher

sender = BlockingPublisher(sys.argv[1], source="svc", spool=sys.argv[2], spool_fsync=sys.argv[3])

def work():
    while True:
        event_id = sender.record("acme", "alice", "llm", metadata={"input_tokens": 1200})
        if event_id is not None:
            os.write(1, event_id.encode() + b"\\n")

threads = [threading.Thread(target=work) for _ in range(3)]
[thread.start() for thread in threads]
"""


def killed_at(process: subprocess.Popen[str], lines: int) -> list[str]:
    """Kill a service once it printed so many ids; all of those that it printed whole."""
    assert process.stdout is not None
    ids = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    ids += process.stdout.readlines()
    process.wait()
    assert process.stderr is not None
    process.stderr.close()
    process.stdout.close()
    return [line.strip() for line in ids if line.endswith("\n")]


@pytest.mark.parametrize("policy", FsyncPolicy)
async def test_a_service_killed_under_load_loses_nothing_it_accepted(
    broker: Broker, tmp_path: Path, policy: FsyncPolicy
) -> None:
    moments = random.Random(os.urandom(8))
    async with usage_queue(broker.operator_url) as queue:
        accepted: set[str] = set()
        for _ in range(2):
            process = program(UNDER_LOAD, broker.publisher_url, str(tmp_path), policy)
            most = 300 if policy is FsyncPolicy.EVERY_RECORD else 6_000
            accepted |= set(await asyncio.to_thread(killed_at, process, moments.randint(1, most)))
        async with Publisher(broker.publisher_url, source="heir", spool=tmp_path) as heir:
            await only(0, tmp_path)
        arrived = {event.id for event in await queue.events()}
    assert accepted <= arrived
    assert heir.counters.spool_adopted == heir.counters.spool_adopted_confirmed
    assert heir.counters.recorded == heir.counters.spool_corrupt == 0


async def test_a_service_killed_while_the_broker_is_away_loses_nothing(
    broker: Broker, tmp_path: Path
) -> None:
    async with usage_queue(broker.operator_url) as queue, behind_proxy(broker) as (proxy, url):
        await proxy.refuse()
        process = program(UNDER_LOAD, url, str(tmp_path), FsyncPolicy.NONE)
        accepted = set(await asyncio.to_thread(killed_at, process, 5_000))
        async with Publisher(url, source="heir", spool=tmp_path) as heir:
            own = heir.record("acme", "alice", "llm")
            assert own is not None
            await proxy.listen()
            await only(1, tmp_path)  # that of the heir itself
        arrived = {event.id for event in await queue.events()}
    assert accepted | {own} <= arrived


BROKER_AWAY = """
import resource, sys
from meter.publisher import BlockingPublisher

sender = BlockingPublisher(sys.argv[1], source="svc", spool=sys.argv[2], max_events=100, max_bytes=10_000)
def memory():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()
for _ in range(2_000):
    sender.record("acme", "alice", "llm", metadata={"text": "x" * 1_000})
before = memory()
for _ in range(40_000):
    assert sender.record("acme", "alice", "llm", metadata={"text": "x" * 1_000}) is not None
print(sender.counters.buffered, memory() - before, flush=True)
sys.stdin.readline()
left = sender.flush(60)
print(left, memory() - before, sender.counters.confirmed)
"""


async def test_a_broker_away_for_far_more_than_memory_gets_everything_in_order(
    broker: Broker, tmp_path: Path
) -> None:
    async with usage_queue(broker.operator_url) as queue, behind_proxy(broker) as (proxy, url):
        await proxy.refuse()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", BROKER_AWAY, url, str(tmp_path),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            buffered, grown = map(int, (await process.stdout.readline()).split())
        assert buffered == 42_000
        assert grown < 16 * 1_048_576
        await proxy.listen()
        out, _ = await asyncio.wait_for(process.communicate(b"\n"), 2 * DEADLINE_S)
        left, grown, confirmed = map(int, out.split())
        ids = [event.id for event in await queue.events()]
    assert (left, confirmed, process.returncode) == (0, 42_000, 0)
    assert grown < 96 * 1_048_576
    assert len(ids) == 42_000
    assert len(set(ids)) == 42_000
    assert files_in(tmp_path) == []


async def test_two_publishers_on_one_folder_share_what_a_third_left_and_send_it_once(
    broker: Broker, tmp_path: Path
) -> None:
    dead = Publisher("amqp://127.0.0.1:1/", source="dead", spool=tmp_path, spool_max_bytes=2_000_000)
    left = {dead.record("acme", "alice", "llm") for _ in range(5_000)}
    assert None not in left
    assert await dead.close(0) == 5_000
    async with (
        usage_queue(broker.operator_url) as queue,
        Publisher(broker.publisher_url, source="one", spool=tmp_path) as one,
        Publisher(broker.publisher_url, source="two", spool=tmp_path) as two,
    ):
        own = {each.record("acme", "alice", "llm") for each in (one, two) for _ in range(2_000)}
        await asyncio.gather(one.flush(), two.flush())
        await only(2, tmp_path)
        events = await queue.events()
    assert {event.id for event in events} == left | own
    assert len(events) == 9_000
    assert files_in(tmp_path) == []


async def test_a_running_publisher_adopts_what_a_neighbour_leaves_behind(
    broker: Broker, tmp_path: Path
) -> None:
    async with (
        usage_queue(broker.operator_url) as queue,
        Publisher(broker.publisher_url, source="heir", spool=tmp_path) as heir,
    ):
        heir.record("acme", "alice", "llm")
        assert await heir.flush(30) == 0
        process = program(UNDER_LOAD, "amqp://127.0.0.1:1/", str(tmp_path), FsyncPolicy.NONE)
        accepted = set(await asyncio.to_thread(killed_at, process, 100))
        await only(1, tmp_path)
        assert accepted <= {event.id for event in await queue.events()}


async def test_events_nobody_can_take_yet_stay_in_the_spool_until_somebody_can(
    broker: Broker, tmp_path: Path
) -> None:
    async with usage_queue(broker.operator_url, declared=False) as queue:
        await queue.declare_exchange_only()
        async with Publisher(broker.publisher_url, source="svc", spool=tmp_path) as sender:
            ids = [sender.record("acme", "alice", "llm") for _ in range(10)]
            async with asyncio.timeout(DEADLINE_S):
                while sender.counters.returned == 0:
                    assert await sender.flush(0.1) == 10
            assert files_in(tmp_path) != []
            await queue.declare()
            assert await sender.flush(30) == 0
        assert [event.id for event in await queue.events()] == ids
        assert sender.counters.retried >= sender.counters.returned >= 10


async def test_connections_cut_again_and_again_lose_nothing(broker: Broker, tmp_path: Path) -> None:
    async with usage_queue(broker.operator_url) as queue, behind_proxy(broker) as (proxy, url):
        async with Publisher(url, source="svc", spool=tmp_path) as sender:
            ids = set()
            for cuts in range(1, 4):
                ids |= {sender.record("acme", "alice", "llm") for _ in range(4_000)}
                async with asyncio.timeout(30):
                    await proxy.connected(cuts)
                await sender.flush(0.01)
                proxy.cut()
            assert await sender.flush(30) == 0
        assert {event.id for event in await queue.events()} == ids
    assert sender.counters.confirmed == len(ids) == 12_000
    assert files_in(tmp_path) == []


async def test_threads_lose_nothing_and_repeat_nothing(broker: Broker, tmp_path: Path) -> None:
    recorded: list[list[str | None]] = [[] for _ in range(8)]

    def work(mine: list[str | None]) -> None:
        for _ in range(2_000):
            mine.append(sender.record("acme", "alice", "llm"))  # noqa: PERF401 - as a service does, one by one

    async with usage_queue(broker.operator_url) as queue:
        with BlockingPublisher(broker.publisher_url, source="svc", spool=tmp_path) as sender:
            threads = [threading.Thread(target=work, args=(mine,)) for mine in recorded]
            for thread in threads:
                thread.start()
            for thread in threads:
                await asyncio.to_thread(thread.join)
            assert await asyncio.to_thread(sender.flush, 60) == 0
        events = await queue.events()
    assert sorted(event.id for event in events) == sorted(str(each) for mine in recorded for each in mine)
