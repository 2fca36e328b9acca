"""Worker processes draining a full queue, with the clock on them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import httpx
import psutil

from bench.backlog import depth, publish_all
from bench.polling import polled
from bench.workers import outcomes_of, ready, running_workers
from meter.consumers.topology import USAGE_QUEUE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from aiormq.abc import AbstractChannel

    from bench.messages import Message
    from bench.stack import Stack
    from bench.workers import Worker

#: How finely the first delivery is seen; asking costs the broker a tenth of a millisecond.
_FIRST_POLL_SECONDS = 0.002
#: How often the queue is looked at while it empties; what the worker then holds keeps it busy for longer.
_EMPTY_POLL_SECONDS = 0.05
#: How often the worker's counters are looked at once the queue is empty. That is the error of the end: a
#: hundredth of the shortest run.
_END_POLL_SECONDS = 0.02
#: Longer than any worker takes to start, and to drain.
_START_SECONDS = 60.0
_DRAIN_SECONDS = 300.0

#: Watches workers for as long as the context lasts.
Beside: TypeAlias = "Callable[[Sequence[Worker]], AbstractAsyncContextManager[None]]"


@dataclass(frozen=True, slots=True)
class Drain:
    """What a drain came to.

    Attributes:
        seconds: from the first delivery to the last commit.
        by_worker: events by outcome, of each worker.
    """

    seconds: float
    by_worker: Sequence[Mapping[str, int]]

    @property
    def outcomes(self) -> Counter[str]:
        """Events by outcome; without those that nothing had."""
        return _total(self.by_worker)

    @property
    def events(self) -> int:
        """Events delivered."""
        return self.outcomes.total()

    @property
    def rate(self) -> float:
        """Events delivered a second."""
        return self.events / self.seconds

    def expect(self, **outcomes: int) -> None:
        """Hold the outcomes to what the workload is made for.

        Raises:
            RuntimeError: an event got another outcome.
        """
        expected = {name: count for name, count in outcomes.items() if count}
        if self.outcomes != expected:
            raise RuntimeError(f"the outcomes should be {expected} and are {dict(self.outcomes)}")


async def drain(
    stack: Stack,
    channel: AbstractChannel,
    dsn: str,
    *,
    events: int,
    beside: Beside | None = None,
) -> Drain:
    """Start ``meter worker`` on a full queue and wait until everything is settled.

    The clock starts when the broker first has fewer messages ready than were confirmed, so that the start of
    the process does not count, and ends when the workers' own counters, which rise after each commit, have
    reached the number of events.

    Args:
        stack: the servers.
        channel: to watch the queue with.
        dsn: the database to settle into.
        events: how many the queue holds.
        beside: watches the worker while the clock runs.

    Raises:
        TimeoutError: it took longer than anything here may.
    """
    full = await depth(channel)
    async with (
        running_workers(stack, dsn) as running,
        httpx.AsyncClient() as client,
        asyncio.timeout(_START_SECONDS) as deadline,
    ):
        await polled(lambda: depth(channel), lambda left: left < full, _FIRST_POLL_SECONDS)
        deadline.reschedule(asyncio.get_running_loop().time() + _DRAIN_SECONDS)
        async with beside(running) if beside else nullcontext():
            began = time.perf_counter()
            await polled(lambda: depth(channel), lambda left: left == 0, _EMPTY_POLL_SECONDS)
            by_worker = await settled(client, running, events)
            seconds = time.perf_counter() - began
        return Drain(seconds, by_worker)


async def drain_together(
    stack: Stack, channel: AbstractChannel, dsn: str, messages: Sequence[Message], *, workers: int
) -> Drain:
    """Let workers begin at the same moment, which those that start on a full queue do not.

    They start on an empty queue and are stopped where they stand; the queue is filled; they go on, and that
    starts the clock.

    Args:
        stack: the servers.
        channel: to fill the queue, and to watch it.
        dsn: the database to settle into.
        messages: what to fill it with.
        workers: how many processes.

    Raises:
        TimeoutError: it took longer than anything here may.
    """
    await channel.queue_purge(USAGE_QUEUE)
    async with (
        running_workers(stack, dsn, workers) as running,
        httpx.AsyncClient() as client,
        asyncio.timeout(_DRAIN_SECONDS),
    ):
        await asyncio.gather(*(ready(worker.url) for worker in running))
        with _stopped(running):
            await publish_all(channel, messages)
        began = time.perf_counter()
        await polled(lambda: depth(channel), lambda left: left == 0, _EMPTY_POLL_SECONDS)
        by_worker = await settled(client, running, sum(message.events for message in messages))
        return Drain(time.perf_counter() - began, by_worker)


@contextmanager
def _stopped(workers: Sequence[Worker]) -> Iterator[None]:
    processes = [psutil.Process(worker.pid) for worker in workers]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


async def settled(client: httpx.AsyncClient, workers: Sequence[Worker], events: int) -> list[dict[str, int]]:
    """Wait until workers have settled so many events together.

    Returns:
        Events by outcome, of each worker.
    """
    return await polled(
        lambda: asyncio.gather(*(outcomes_of(client, worker) for worker in workers)),
        lambda counted: _total(counted).total() >= events,
        _END_POLL_SECONDS,
    )


def _total(by_worker: Sequence[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for outcomes in by_worker:
        total.update({name: count for name, count in outcomes.items() if count})
    return total
