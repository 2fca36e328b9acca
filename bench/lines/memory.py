"""B5: what a worker needs for a long backlog."""

from __future__ import annotations

import asyncio
import statistics
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import psutil

from bench.figures import Target
from bench.messages import batch_messages, encoded_events
from bench.rounds import repeated
from bench.workload import usages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bench.figures import Figure
    from bench.measuring import Bench
    from bench.workers import Worker

TARGETS = (
    Target("B5a", "worker's RSS, most", "backlog of 1,000,000 events", 120, "MiB", "most"),
    Target("B5b", "worker's RSS, last third ÷ first third", "medians of the same drain", 1.05, at="most"),
)
_SAMPLE_SECONDS = 0.02
_MIB = 1024 * 1024


def steps(bench: Bench) -> int:
    """How many steps will be reported."""
    return bench.size.backlog_rounds


async def measure(bench: Bench) -> list[Figure]:
    """Drain a long backlog, looking at the process all the while."""
    drawn = usages(bench.size.backlog_events)
    messages = batch_messages(drawn, encoded_events(drawn))

    async def once() -> dict[str, float]:
        samples: list[float] = []

        @asynccontextmanager
        async def sampled(workers: Sequence[Worker]) -> AsyncIterator[None]:
            sampling = asyncio.create_task(_sample(psutil.Process(workers[0].pid), samples))
            try:
                yield
            finally:
                sampling.cancel()
                await asyncio.wait([sampling])

        dsn = await bench.stack.databases.fresh()
        drained = await bench.drained(dsn, messages, beside=sampled)
        drained.expect(charged=bench.size.backlog_events)
        third = len(samples) // 3
        first, last = statistics.median(samples[:third]), statistics.median(samples[-third:])
        return {"B5a": max(samples), "B5b": last / first}

    return await repeated(bench, TARGETS, "memory with a backlog", once, bench.size.backlog_rounds)


async def _sample(process: psutil.Process, samples: list[float]) -> None:
    while True:
        samples.append(process.memory_info().rss / _MIB)
        await asyncio.sleep(_SAMPLE_SECONDS)
