"""``meter up --demo``: its figures counted again, replayed, and with the worker killed in the middle."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
import os
import signal
import socket
import time
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files

import asyncpg
import pytest
from tests.demo_books import Books, Summary, books_of, summary_of
from tests.private_servers import processes_in, throwaway_folder
from tests.running_stack import RunningStack, listening_ports, running_stack, start
from tests.running_worker import until

from meter.events import event_key

EVENTS = 8_819
TRACE = files("meter.local.demo") / "azure_llm_inference_2023_code.csv"
#: As the design seeds the prices.
CREDITS_PER_INPUT_TOKEN, CREDITS_PER_OUTPUT_TOKEN = Decimal("0.003"), Decimal("0.015")


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo and what it left behind."""

    summary: Summary
    books: Books


@dataclass(frozen=True, slots=True)
class Stop:
    """What was there before a stack was stopped with Ctrl-C, and what was left of it afterwards."""

    code: int | None
    last_words: str
    processes: set[str]
    processes_left: set[str]
    ports: set[int]
    ports_left: set[int]
    files_left: set[str]


@dataclass(frozen=True, slots=True)
class TwoDemos:
    """Two demos, one after the other on the same folder."""

    first: Demo
    stop: Stop
    second: Demo


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


async def stopped(running: RunningStack) -> Stop:
    folder = running.folder
    processes, ports = {process.name() for process in processes_in(folder)}, listening_ports(folder)
    said = await running.stop(signal.SIGINT)
    left = [path for pattern in ("*.pid", "addresses.json") for path in folder.rglob(pattern)]
    return Stop(
        code=running.process.returncode,
        last_words=said.splitlines()[-1],
        processes=processes,
        processes_left={process.name() for process in processes_in(folder)},
        ports=ports,
        ports_left={port for port in ports if is_open(port)},
        files_left={path.name for path in left},
    )


async def demo_on(running: RunningStack) -> Demo:
    demo = Demo(await summary_of(running), await books_of(running))
    print(f"{demo.summary.events_per_second} events per second")
    return demo


@pytest.fixture(scope="module")
async def undisturbed() -> TwoDemos:
    with throwaway_folder() as parent:
        running = await start(parent / "state", "--demo")
        try:
            first, stop = await demo_on(running), await stopped(running)
        except BaseException:
            await running.close()
            raise
        began = time.monotonic()
        async with running_stack(parent / "state", "--demo") as running:
            await running.says("^  curl ")
            print(f"the second start took {time.monotonic() - began:.1f} s")
            second = await demo_on(running)
    return TwoDemos(first, stop, second)


@pytest.fixture(scope="module")
async def worker_killed() -> Demo:
    """A demo whose worker is killed with SIGKILL when some of the events are settled and some are not."""
    with throwaway_folder() as parent:
        # Small batches make the middle of the demo long enough to be found.
        async with running_stack(parent / "state", "--demo", METER_BATCH_MAX_EVENTS="50") as running:
            connection = await asyncpg.connect(await running.dsn())
            try:

                async def settled() -> int:
                    found: int = await connection.fetchval("select count(*) from credit_usage_attribution")
                    return found

                await until(settled, lambda events: events > 0)
                pid_file = running.folder / "logs" / "worker.pid"
                (worker, _), _guard = json.loads(await asyncio.to_thread(pid_file.read_text))
                os.kill(worker, signal.SIGKILL)
                assert 0 < await settled() < EVENTS
            finally:
                await connection.close()
            await running.says(r"^worker ended \(code 137\)")
            await running.says("^worker is back")
            return await demo_on(running)


def test_the_summary_adds_up_to_the_events_published(undisturbed: TwoDemos) -> None:
    summary = undisturbed.first.summary
    assert summary.published == EVENTS
    settled = summary.charged[0] + summary.unfunded[0] + summary.other
    assert settled + summary.duplicates + summary.dead_letters == EVENTS
    assert (summary.other, summary.duplicates) == (0, 0)
    # There is something to see of both.
    assert min(summary.charged[0], summary.unfunded[0]) > 0


def test_the_summary_is_what_database_and_broker_hold(undisturbed: TwoDemos) -> None:
    summary, books = undisturbed.first.summary, undisturbed.first.books
    assert len(books.rated) + books.dead_letters == EVENTS
    assert books.dead_letters == summary.dead_letters
    assert books.outcomes == {"charged": summary.charged, "unfunded": summary.unfunded}
    assert books.waiting == 0


def test_every_request_of_the_trace_is_in_the_ledger_at_the_price_of_its_tokens(
    undisturbed: TwoDemos,
) -> None:
    source = f"file:sha256:{hashlib.sha256(TRACE.read_bytes()).hexdigest()}"
    rows = csv.DictReader(TRACE.read_text("ascii").splitlines())
    expected = {
        event_key(source, str(number)): int(row["ContextTokens"]) * CREDITS_PER_INPUT_TOKEN
        + int(row["GeneratedTokens"]) * CREDITS_PER_OUTPUT_TOKEN
        for number, row in enumerate(rows, start=1)
    }
    assert {key: credits for (_, key), credits in undisturbed.first.books.rated.items()} == expected


def test_every_balance_of_the_demo_is_the_sum_of_its_rows(undisturbed: TwoDemos, worker_killed: Demo) -> None:
    for books in (undisturbed.first.books, undisturbed.second.books, worker_killed.books):
        # The forty of the demo and acme.
        assert len(books.pools) == 41
        assert books.wrong == []


def test_a_second_demo_on_the_same_folder_charges_nothing(undisturbed: TwoDemos) -> None:
    before, after = undisturbed.first, undisturbed.second
    assert after.summary.published == after.summary.duplicates == EVENTS
    assert after.summary.charged == after.summary.unfunded == (0, 0)
    assert after.summary.dead_letters == 0
    assert after.books == before.books


def test_ctrl_c_ends_all_of_it_and_leaves_no_process_port_or_lock(undisturbed: TwoDemos) -> None:
    stop = undisturbed.stop
    assert stop.code == 0
    assert stop.last_words == "everything has stopped"
    # What is not there before cannot be found missing afterwards.
    assert stop.processes >= {"postgres", "beam.smp", "epmd"}
    assert stop.processes_left == set()
    # PostgreSQL, four of RabbitMQ, two of the API and the worker's.
    assert len(stop.ports) >= 8
    assert stop.ports_left == set()
    assert stop.files_left == set()


def test_a_worker_killed_in_the_middle_settles_the_same_events_at_the_same_price(
    undisturbed: TwoDemos, worker_killed: Demo
) -> None:
    assert worker_killed.books.rated == undisturbed.first.books.rated
    assert worker_killed.books.dead_letters == 0
    assert worker_killed.books.waiting == 0
    summary = worker_killed.summary
    assert summary.charged[0] + summary.unfunded[0] == summary.published == EVENTS


def test_a_worker_killed_in_the_middle_leaves_the_same_balances_where_nothing_runs_out(
    undisturbed: TwoDemos, worker_killed: Demo
) -> None:
    without, with_kill = undisturbed.first.books, worker_killed.books
    enough = without.pools.keys() - without.short - with_kill.short
    # Most have enough; of the others it depends on the order which events are funded.
    assert len(enough) > len(without.pools) / 2
    for org_id in enough:
        assert with_kill.pools[org_id] == without.pools[org_id]
    assert {key: used for key, used in with_kill.allocations.items() if key[0] in enough} == {
        key: used for key, used in without.allocations.items() if key[0] in enough
    }
