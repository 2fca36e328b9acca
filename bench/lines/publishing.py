"""B9: what recording costs a service, and how much one process gets confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.backlog import broker_channel
from bench.figures import Figure, Target
from bench.peers.process import run_peer
from meter.consumers.topology import USAGE_QUEUE

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.size import Size
    from bench.stack import Stack

#: Steps that a round reports.
STEPS_A_ROUND = 1

B9A = Target("B9a", "record() on its caller", "absolute", 5, "µs", "most")
B9B = Target("B9b", "recorded and confirmed", "absolute", 100_000, "events/s")


async def measure(stack: Stack, size: Size, step: Callable[[str], None]) -> list[Figure]:
    """Measure the publisher in a process of its own; nothing consumes meanwhile.

    Args:
        stack: the servers.
        size: how much.
        step: told what is measured next, :data:`STEPS_A_ROUND` times a round.
    """
    calls, rates = [], []
    for _ in range(size.rounds):
        step("B9 publisher")
        measured = await run_peer("recording", size.recorded_events, amqp_url=stack.amqp_url)
        calls.append(measured["call_us"])
        rates.append(measured["rate"])
        async with broker_channel(stack.amqp_url) as channel:
            await channel.queue_purge(USAGE_QUEUE)
    return [Figure(B9A, calls, {}), Figure(B9B, rates, {})]
