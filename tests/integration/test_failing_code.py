"""Code of ours that hangs or fails over a message: broken on purpose in a worker process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from tests.malformed import body
from tests.running_worker import DEADLINE_S, MAIN, Ledger, UsageSide, running_worker, until

if TYPE_CHECKING:
    from tests.private_servers import Broker, FreshDatabase

HANGS = body("acme", 1_000, data={"request_id": "hangs"})
FAILS = body("acme", 1_001, data={"request_id": "fails"})
#: Decoding as it is, but that it hangs over one message and fails over another.
BROKEN = (
    """
import re
from meter.consumers import batch

decode = batch.decode_message

def decode_or_break(body, content_type):
    if b"hangs" in body:
        # Holds the interpreter for longer than anyone lives.
        re.fullmatch("(a|a)*b", "a" * 64)
    if b"fails" in body:
        raise KeyError("broken on purpose")
    return decode(body, content_type)

batch.decode_message = decode_or_break
"""
    + MAIN
)


async def test_a_message_that_hangs_decoding_is_a_dead_letter_after_three_workers_hung_over_it_alone(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    async with AsyncExitStack() as stack:
        workers = [
            await stack.enter_async_context(
                running_worker(
                    database.dsn, broker.worker_url, main=BROKEN, hang_timeout_s=1, suspect_after_deliveries=1
                )
            )
            for _ in range(6)
        ]
        for worker in workers:
            await worker.says("consuming")
        await services.publish_events([*(body("acme", number) for number in range(20)), HANGS])
        (letter,) = await services.dead_letters(1)
        assert await books.settled(20) == {"charged": 20}
        hung = [worker for worker in workers if worker.process.returncode is not None]
        for survivor in workers:
            if survivor not in hung:
                await until(survivor.is_ready, bool)
    # Once beside others, once among the suspects unless no other came to the same worker, three times alone.
    assert len(hung) in (4, 5)
    assert {worker.process.returncode for worker in hung} == {1}
    assert all("in decode_or_break" in "".join(worker.unreadable) for worker in hung)
    assert letter.body == HANGS
    assert letter.header.properties.headers["meter-reason"] == "poison"


async def test_a_message_that_fails_decoding_is_a_dead_letter_at_once_and_its_neighbours_are_charged(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    await services.publish_events([*(body("acme", number) for number in range(20)), FAILS])
    async with running_worker(database.dsn, broker.worker_url, main=BROKEN) as worker:
        (letter,) = await services.dead_letters(1)
        assert await books.settled(20) == {"charged": 20}
        await until(worker.is_ready, bool)
        assert await worker.metric("meter_reconnects_total") == 0
        said = await worker.says("a message cannot be decoded, which is an error of meter")
    assert (said["error"], "broken on purpose" in str(said["error_text"])) == ("KeyError", True)
    assert letter.body == FAILS
    headers = letter.header.properties.headers
    assert (headers["meter-reason"], headers["meter-part"]) == ("not_decodable", "message")
    assert (headers["meter-attempts"], "KeyError" in headers["meter-sentence"]) == (1, True)


async def test_where_nothing_decodes_no_message_is_to_blame_and_all_of_them_wait(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    await services.publish_events(body("acme", number) for number in range(20))
    altogether = BROKEN.replace('b"fails"', 'b"specversion"')
    async with running_worker(database.dsn, broker.worker_url, main=altogether) as worker:
        said = await worker.says("not consuming, connecting anew")
        assert (said["error"], "broken on purpose" in str(said["error_text"])) == ("KeyError", True)
        await until(lambda: worker.metric("meter_reconnects_total"), lambda times: times >= 1)
        await until(worker.is_ready, lambda ready: not ready)
        await worker.kill()
    async with running_worker(database.dsn, broker.worker_url):
        assert await books.settled(20) == {"charged": 20}
    assert await services.ready("meter.dead") == 0


HUNG = """
import asyncio, re
from meter.consumers.watchdog import watchdog

async def hang():
    async with watchdog(1.0):
        await asyncio.sleep(0)
        # Holds the interpreter for longer than anyone lives.
        re.fullmatch("(a|a)*b", "a" * 64)

asyncio.run(hang())
"""


async def test_a_process_that_hangs_ends_itself_and_says_where() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HUNG, env=os.environ, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(DEADLINE_S):
        _, said = await process.communicate()
    assert process.returncode == 1
    assert b"in hang" in said


WAITING = """
import asyncio
from meter.consumers.watchdog import watchdog

async def wait():
    async with watchdog(0.2):
        await asyncio.sleep(1)

asyncio.run(wait())
"""


async def test_a_process_that_waits_does_not_end_itself() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WAITING, env=os.environ, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(DEADLINE_S):
        _, said = await process.communicate()
    assert (process.returncode, said) == (0, b"")
