"""Publishers in processes that fork and end: with a spool and without."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.publishing_services import files_in, only, said
from tests.running_worker import DEADLINE_S
from tests.usage_queue import usage_queue
from yarl import URL

from meter.publisher import Publisher

if TYPE_CHECKING:
    from pathlib import Path

    from tests.private_servers import Broker

PREFORK = """
import json, os, sys, threading, warnings
from meter.publisher import BlockingPublisher

warnings.simplefilter("ignore", DeprecationWarning)
sender = BlockingPublisher(sys.argv[1], source="svc", spool=sys.argv[2])
ids = [sender.record("acme", "parent", "llm") for _ in range(500)]
children = []
for _ in range(3):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        mine = [sender.record("acme", "child", "llm") for _ in range(500)]
        os.write(write, json.dumps([os.getpid(), sender.counters.recorded, mine]).encode())
        os.kill(os.getpid(), 9)
    os.close(write)
    children.append((child, read))
    ids += [sender.record("acme", "parent", "llm") for _ in range(500)]
for child, read in children:
    os.waitpid(child, 0)
    with os.fdopen(read) as said:
        pid, recorded, mine = json.load(said)
    assert (pid, recorded) == (child, 500)
    ids += mine
assert sender.flush(30) == 0
assert sender.counters.recorded == 2_000
print(*ids, flush=True)
while os.listdir(sys.argv[2]):
    threading.Event().wait(0.05)
"""


async def test_forked_workers_have_segments_of_their_own_and_the_parent_inherits_the_dead_ones(
    broker: Broker, tmp_path: Path
) -> None:
    async with usage_queue(broker.operator_url) as queue:
        ids = await said(PREFORK, broker.publisher_url, str(tmp_path))
        arrived = {event.id for event in await queue.events()}
    assert len(ids) == 3_500
    assert set(ids) == arrived
    assert "None" not in ids


PARENT_DIES = """
import os, sys, warnings
from meter.publisher import BlockingPublisher

warnings.simplefilter("ignore", DeprecationWarning)
sender = BlockingPublisher("amqp://127.0.0.1:1/", source="svc", spool=sys.argv[1])
print(*[sender.record("acme", "parent", "llm") for _ in range(10)], flush=True)
if os.fork():
    os.kill(os.getpid(), 9)
print("forked", flush=True)
sys.stdin.readline()
"""


async def test_a_child_that_outlives_its_parent_does_not_keep_its_segments(
    broker: Broker, tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT_DIES, str(tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdin is not None
    async with asyncio.timeout(DEADLINE_S), usage_queue(broker.operator_url) as queue:
        ids = (await process.stdout.readline()).decode().split()
        assert await process.stdout.readline() == b"forked\n"
        async with Publisher(broker.publisher_url, source="heir", spool=tmp_path):
            await only(0, tmp_path)
        assert [event.id for event in await queue.events()] == ids
        assert await process.wait() == -signal.SIGKILL
    process.stdin.close()


MULTIPROCESSING = """
import multiprocessing, sys, warnings
from meter.publisher import BlockingPublisher

warnings.simplefilter("ignore", DeprecationWarning)

def work(queue):
    queue.put([sender.record("acme", "child", "llm") for _ in range(200)])

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    sender = BlockingPublisher(sys.argv[1], source="svc", spool=sys.argv[2])
    ids = [sender.record("acme", "parent", "llm")]
    queue = context.Queue()
    workers = [context.Process(target=work, args=(queue,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        ids += queue.get(timeout=30)
    for worker in workers:
        worker.join()
    print(*ids)
"""


async def test_children_of_multiprocessing_end_without_a_word_and_lose_nothing(
    broker: Broker, tmp_path: Path
) -> None:
    async with usage_queue(broker.operator_url) as queue:
        ids = await said(MULTIPROCESSING, broker.publisher_url, str(tmp_path))
        async with Publisher(broker.publisher_url, source="heir", spool=tmp_path):
            await only(0, tmp_path)
        arrived = {event.id for event in await queue.events()}
    assert len(ids) == 401
    assert set(ids) == arrived


FORKED_ASYNC = """
import asyncio, json, os, sys, warnings
from meter.publisher import Publisher

warnings.simplefilter("ignore", DeprecationWarning)
options = json.loads(sys.argv[2])

async def child():
    async with sender:
        print(sender.record("acme", "child", "llm"), flush=True)
        assert await sender.flush(30) == 0
        assert sender.counters.recorded == 1

async def parent():
    global sender
    async with Publisher(sys.argv[1], source="svc", **options) as sender:
        print(sender.record("acme", "parent", "llm"), flush=True)
        assert await sender.flush(30) == 0
        print(sender.record("acme", "parent", "llm"), flush=True)
        pid = os.fork()
        if pid == 0:
            try:
                asyncio.run(child())
            except BaseException:
                import traceback; traceback.print_exc()
                os._exit(1)
            os._exit(0)
        assert (await asyncio.to_thread(os.waitpid, pid, 0))[1] == 0
        print(sender.record("acme", "parent", "llm"), flush=True)
        assert await sender.flush(30) == 0
        assert sender.counters.retried == 0

asyncio.run(parent())
"""


@pytest.mark.parametrize("spooled", [False, True])
async def test_an_asyncio_publisher_begins_anew_in_a_forked_child(
    broker: Broker, tmp_path: Path, spooled: bool
) -> None:
    options: dict[str, Any] = {"spool": str(tmp_path)} if spooled else {}
    async with usage_queue(broker.operator_url) as queue:
        ids = await said(FORKED_ASYNC, broker.publisher_url, json.dumps(options))
        events = await queue.events()
    assert len(ids) == 4
    assert sorted(event.id for event in events) == sorted(ids)
    assert files_in(tmp_path) == []


AT_EXIT = """
import asyncio, json, sys
from meter.publisher import BlockingPublisher, Publisher

options = json.loads(sys.argv[3])

async def service():
    sender = await Publisher(sys.argv[1], source="svc", **options).open()
    for _ in range(3_000):
        print(sender.record("acme", "alice", "llm"))
    return sender

if sys.argv[2] == "blocking":
    sender = BlockingPublisher(sys.argv[1], source="svc", **options)
    for _ in range(3_000):
        print(sender.record("acme", "alice", "llm"))
elif sys.argv[2] == "async":
    sender = asyncio.run(service())
else:
    loop = asyncio.new_event_loop()
    sender = loop.run_until_complete(service())
    loop.run_until_complete(sender.flush(30))
    for _ in range(3_000):
        print(sender.record("acme", "alice", "llm"))
    for _ in range(5):  # turns enough to send, too few to hear of it
        loop.run_until_complete(asyncio.sleep(0))
"""


@pytest.mark.parametrize("spooled", [False, True])
@pytest.mark.parametrize("kind", ["blocking", "async", "abandoned loop"])
async def test_a_program_that_ends_without_closing_sends_what_is_left_by_the_broker_s_name(
    broker: Broker, tmp_path: Path, kind: str, spooled: bool
) -> None:
    options: dict[str, Any] = {"spool": str(tmp_path)} if spooled else {}
    by_name = str(URL(broker.publisher_url).with_host("localhost"))
    async with usage_queue(broker.operator_url) as queue:
        ids = await said(AT_EXIT, by_name, kind, json.dumps(options))
        arrived = {event.id for event in await queue.events()}
    assert len(ids) == (6_000 if kind == "abandoned loop" else 3_000)
    assert arrived == set(ids)
    assert files_in(tmp_path) == []
