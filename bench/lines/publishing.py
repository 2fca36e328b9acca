"""B9: what recording costs a service, and how much one process gets confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.figures import Figure, Target
from meter.consumers.topology import USAGE_QUEUE

if TYPE_CHECKING:
    from bench.measuring import Bench

#: Without a spool, then with one that is written to the disk every 10 ms, as it is by default.
TARGETS = (
    Target("B9a", "record() on its caller, median", "absolute", 5, "µs", "most"),
    Target("B9b", "recorded and confirmed by one process", "absolute", 100_000, "events/s"),
    Target("B9a", "record() with a spool, median", "absolute", None, "µs", "most"),
    Target("B9b", "recorded with a spool and confirmed", "absolute", None, "events/s"),
)


def steps(bench: Bench) -> int:
    """How many steps will be reported."""
    return bench.size.rounds


async def measure(bench: Bench) -> list[Figure]:
    """Measure the publisher in a process of its own; nothing consumes meanwhile."""
    rounds = []
    for _ in range(bench.size.rounds):
        bench.step("publisher")
        rounds.append(await _once(bench) + await _once(bench, str(bench.stack.folder / "spool")))
    return [
        Figure(target, samples, {})
        for target, samples in zip(TARGETS, zip(*rounds, strict=True), strict=True)
        if bench.wants(target)
    ]


async def _once(bench: Bench, *spool: str) -> tuple[float, ...]:
    """Record with or without a spool; returns the two figures."""
    count = str(bench.size.recorded_events)
    measured = await bench.stack.programs.measured("bench.peers.recording", count, *spool)
    await bench.channel.queue_purge(USAGE_QUEUE)
    return measured["call_us"], measured["rate"]
