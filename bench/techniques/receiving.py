"""Ways to take messages, compared: what one message costs the process that takes it."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from bench.backlog import broker_channel, fill
from bench.messages import encoded_events, single_messages
from bench.techniques.receive import LOOPS, WAYS
from bench.workload import usages

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.stack import Stack

Costs = dict[tuple[str, str], list[dict[str, float]]]
HEAD = ("library", "loop", "CPU", "spread", "clock")
#: Runs of a round.
RUNS = len(WAYS) * len(LOOPS)


async def measure(stack: Stack, messages: int, rounds: int, step: Callable[[], None]) -> Costs:
    """Empty a full queue in every way, in every round.

    Args:
        stack: the servers.
        messages: how many, of one event each.
        rounds: how often.
        step: told after every run.
    """
    drawn = usages(messages)
    backlog = single_messages(drawn, encoded_events(drawn))
    costs: Costs = {}
    async with broker_channel(stack.amqp_url) as channel:
        for _ in range(rounds):
            for way in WAYS:
                for loop in LOOPS:
                    await fill(channel, backlog)
                    cost = await stack.programs.measured("bench.techniques.receive", way, loop, str(messages))
                    costs.setdefault((way, loop), []).append(cost)
                    step()
    return costs


def rows(costs: Costs) -> list[tuple[str, ...]]:
    """Lay the medians out under :data:`HEAD`; µs a message."""
    laid_out: list[tuple[str, ...]] = []
    for (way, loop), measured in costs.items():
        cpus = [cost["cpu_us"] for cost in measured]
        clock = statistics.median(cost["clock_us"] for cost in measured)
        spread = f"{min(cpus):.1f}–{max(cpus):.1f}"
        laid_out.append((way, loop, f"{statistics.median(cpus):.1f}", spread, f"{clock:.1f}"))
    return laid_out
