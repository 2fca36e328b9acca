"""The real worker process draining a full queue, with the clock on it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bench.backlog import depth
from meter.local.child import Child, Command
from meter.local.machine import LOOPBACK, PortBook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from aiormq.abc import AbstractChannel

    from bench.stack import Stack

_T = TypeVar("_T")

#: How finely the first delivery is seen; asking costs the broker a tenth of a millisecond.
_FIRST_POLL_SECONDS = 0.002
#: How often the queue is looked at while it empties; what the worker then holds keeps it busy for longer.
_EMPTY_POLL_SECONDS = 0.05
#: How often the worker's counters are looked at once the queue is empty. That is the error of the end: a
#: fiftieth of the shortest run.
_END_POLL_SECONDS = 0.02
_DEADLINE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Drain:
    """What a drain came to.

    Attributes:
        seconds: from the first delivery to the last commit.
        outcomes: events by outcome.
    """

    seconds: float
    outcomes: Mapping[str, int]

    @property
    def rate(self) -> float:
        """Events delivered a second."""
        return sum(self.outcomes.values()) / self.seconds


async def drain(stack: Stack, channel: AbstractChannel, dsn: str, *, events: int) -> Drain:
    """Start ``meter worker`` on a full queue and wait until it has settled everything.

    The clock starts when the broker first has fewer messages ready than were confirmed, so that the start of
    the process does not count, and ends when the worker's own counters, which rise after each commit, have
    reached the number of events.

    Args:
        stack: the servers.
        channel: to watch the queue with.
        dsn: the database to settle into.
        events: how many the queue holds.

    Raises:
        TimeoutError: it took longer than anything here may.
    """
    full = await depth(channel)
    async with asyncio.timeout(_DEADLINE_SECONDS), _worker(stack, dsn) as metrics_url:
        await _polled(lambda: depth(channel), lambda ready: ready < full, _FIRST_POLL_SECONDS)
        began = time.perf_counter()
        await _polled(lambda: depth(channel), lambda ready: ready == 0, _EMPTY_POLL_SECONDS)
        async with httpx.AsyncClient() as client:
            outcomes = await _polled(
                lambda: _outcomes(client, metrics_url),
                lambda counted: sum(counted.values()) >= events,
                _END_POLL_SECONDS,
            )
        return Drain(time.perf_counter() - began, outcomes)


async def _polled(ask: Callable[[], Awaitable[_T]], enough: Callable[[_T], bool], every_seconds: float) -> _T:
    while not enough(answer := await ask()):  # noqa: ASYNC110 - another process is watched from outside
        await asyncio.sleep(every_seconds)
    return answer


@asynccontextmanager
async def _worker(stack: Stack, dsn: str) -> AsyncIterator[str]:
    """A worker process with the settings it has by itself; yields where its metrics are."""
    port = PortBook(stack.folder / "worker-port.json").assign(["worker"])["worker"]
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("METER_")}
    addresses = {
        "METER_DATABASE_URL": dsn,
        "METER_AMQP_URL": stack.amqp_url,
        "METER_WORKER_PORT": str(port),
        "METER_LOG_LEVEL": "warning",
    }
    command = Command(
        name="worker",
        folder=stack.folder,
        arguments=[sys.executable, "-m", "meter", "worker"],
        environment=inherited | addresses,
    )
    child = Child(command)
    await child.start()
    try:
        yield f"http://{LOOPBACK}:{port}/metrics"
    finally:
        await child.stop()


async def _outcomes(client: httpx.AsyncClient, url: str) -> dict[str, int]:
    text = (await client.get(url)).raise_for_status().text
    return {
        sample.labels["outcome"]: int(sample.value)
        for family in text_string_to_metric_families(text)
        if family.name == "meter_events"
        for sample in family.samples
        if sample.name == "meter_events_total"
    }
