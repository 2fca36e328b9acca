"""B9: what recording costs a service, and how much one process gets confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.figures import Target
from bench.peers.process import run_peer
from bench.rounds import repeated
from meter.consumers.topology import USAGE_QUEUE

if TYPE_CHECKING:
    from bench.figures import Figure
    from bench.measuring import Bench

TARGETS = (
    Target("B9a", "record() on its caller, median", "absolute", 5, "µs", "most"),
    Target("B9b", "recorded and confirmed by one process", "absolute", 100_000, "events/s"),
)


def steps(bench: Bench) -> int:
    """How many steps will be reported."""
    return bench.size.rounds


async def measure(bench: Bench) -> list[Figure]:
    """Measure the publisher in a process of its own; nothing consumes meanwhile."""

    async def once() -> dict[str, float]:
        measured = await run_peer("recording", bench.size.recorded_events, amqp_url=bench.stack.amqp_url)
        await bench.channel.queue_purge(USAGE_QUEUE)
        return {"B9a": measured["call_us"], "B9b": measured["rate"]}

    return await repeated(bench, TARGETS, "publisher", once, bench.size.rounds)
