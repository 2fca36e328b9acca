"""B4: from publishing to the commit, while usage arrives steadily."""

from __future__ import annotations

import statistics
from array import array
from typing import TYPE_CHECKING

import httpx

from bench.drain import settled
from bench.figures import Target
from bench.peers.process import run_peer
from bench.peers.steady import EVENTS_A_SECOND
from bench.rounds import repeated
from bench.workers import ready, running_workers
from meter.consumers.topology import USAGE_QUEUE

if TYPE_CHECKING:
    from pathlib import Path

    from bench.figures import Figure
    from bench.measuring import Bench

_CONDITIONS = f"{EVENTS_A_SECOND:,} events/s, 1 a message"
TARGETS = (
    Target("B4a", "publish to commit, p50", _CONDITIONS, 20, "ms", "most"),
    Target("B4b", "publish to commit, p99", _CONDITIONS, 60, "ms", "most"),
)
#: Not counted: a worker that has just started learns plans and prices first.
_WARM_UP_SECONDS = 1


def steps(bench: Bench) -> int:
    """How many steps will be reported."""
    return bench.size.rounds


async def measure(bench: Bench) -> list[Figure]:
    """Publish at a steady rate to a worker that is ready, every event on its own."""
    return await repeated(bench, TARGETS, "latency", lambda: _once(bench), bench.size.rounds)


async def _once(bench: Bench) -> dict[str, float]:
    seconds = _WARM_UP_SECONDS + bench.size.steady_seconds
    events = EVENTS_A_SECOND * seconds
    file = bench.stack.folder / "committed"
    await bench.channel.queue_purge(USAGE_QUEUE)
    dsn = await bench.stack.databases.fresh()
    arguments = ("-m", "bench.timed_worker", str(file))
    async with running_workers(bench.stack, dsn, arguments=arguments) as workers:
        await ready(workers[0].url)
        await run_peer("steady", events, amqp_url=bench.stack.amqp_url)
        async with httpx.AsyncClient() as client:
            await settled(client, workers, events)
    lags_ms = _lags_ms(file, events)
    return {"B4a": statistics.median(lags_ms), "B4b": statistics.quantiles(lags_ms, n=100)[98]}


def _lags_ms(file: Path, events: int) -> list[float]:
    """Read what ``bench/timed_worker.py`` wrote, without the warm-up.

    Raises:
        RuntimeError: it holds another number of events than were published.
    """
    written = array("q", file.read_bytes())
    published, committed = written[::2], written[1::2]
    if len(published) != events:
        raise RuntimeError(f"{events} events were published and {len(published)} settled")
    counted_from = min(published) + _WARM_UP_SECONDS * 1_000_000
    return [
        (end - begin) / 1_000
        for begin, end in zip(published, committed, strict=True)
        if begin >= counted_from
    ]
