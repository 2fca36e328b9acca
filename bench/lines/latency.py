"""B4: from publishing to the commit, while usage arrives steadily."""

from __future__ import annotations

import statistics
from array import array
from typing import TYPE_CHECKING

import httpx

from bench.drain import settled
from bench.figures import Figure, Target
from bench.peers.steady import EVENTS_A_SECOND
from bench.workers import ready, running_workers
from meter.consumers.topology import USAGE_QUEUE

if TYPE_CHECKING:
    from pathlib import Path

    from bench.measuring import Bench

_CONDITIONS = f"{EVENTS_A_SECOND:,} events/s, 1 a message"
TARGETS = (
    Target("B4a", "publish to commit, p50", _CONDITIONS, 20, "ms", "most"),
    Target("B4b", "publish to commit, p99", _CONDITIONS, 60, "ms", "most"),
    # The part that is the broker's and the worker's intake; what is left is settlement.
    Target("B4a", "publish to the batch's settlement, p50", _CONDITIONS, None, "ms", "most"),
    Target("B4b", "publish to the batch's settlement, p99", _CONDITIONS, None, "ms", "most"),
)
#: Not counted: a worker that has just started learns plans and prices first.
_WARM_UP_SECONDS = 1


def steps(bench: Bench) -> int:
    """How many steps will be reported."""
    return bench.size.rounds


async def measure(bench: Bench) -> list[Figure]:
    """Publish at a steady rate to a worker that is ready, every event on its own."""
    rounds = []
    for _ in range(bench.size.rounds):
        bench.step("latency")
        rounds.append(await _once(bench))
    return [
        Figure(target, samples, {})
        for target, samples in zip(TARGETS, zip(*rounds, strict=True), strict=True)
        if bench.wants(target)
    ]


async def _once(bench: Bench) -> tuple[float, ...]:
    """Measure the figures of one round, in the order of the lines."""
    seconds = _WARM_UP_SECONDS + bench.size.steady_seconds
    events = EVENTS_A_SECOND * seconds
    file = bench.stack.folder / "committed"
    await bench.channel.queue_purge(USAGE_QUEUE)
    dsn = await bench.stack.databases.fresh()
    module = ("bench.timed_worker", str(file))
    async with running_workers(bench.stack, dsn, module=module) as workers:
        await ready(workers[0].url)
        await bench.stack.programs.measured("bench.peers.steady", str(events))
        async with httpx.AsyncClient() as client:
            await settled(client, workers, events)
    to_settlement, to_commit = _lags_ms(file, events)
    return *_p50_p99(to_commit), *_p50_p99(to_settlement)


def _p50_p99(lags_ms: list[float]) -> tuple[float, float]:
    return statistics.median(lags_ms), statistics.quantiles(lags_ms, n=100)[98]


def _lags_ms(file: Path, events: int) -> tuple[list[float], list[float]]:
    """Read what ``bench/timed_worker.py`` wrote, without the warm-up.

    Returns:
        For each event the milliseconds from publishing until its settlement began, and until it returned.

    Raises:
        RuntimeError: the file holds another number of events than were published.
    """
    written = array("q", file.read_bytes())
    published, began, ended = written[::3], written[1::3], written[2::3]
    if len(published) != events:
        raise RuntimeError(f"{events} events were published and {len(published)} settled")
    counted_from = min(published) + _WARM_UP_SECONDS * 1_000_000
    counted = [place for place, at in enumerate(published) if at >= counted_from]
    return (
        [(began[place] - published[place]) / 1_000 for place in counted],
        [(ended[place] - published[place]) / 1_000 for place in counted],
    )
