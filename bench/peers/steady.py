"""A service whose usage arrives steadily, one event a message, each stamped when it is published."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bench.backlog import broker_channel, depth, publish
from bench.messages import encoded_event, single_message
from bench.peers.process import AMQP_URL, answer
from bench.workload import usages

if TYPE_CHECKING:
    from aiormq.abc import AbstractChannel

    from bench.workload import Usage

EVENTS_A_SECOND = 2_000
#: What the pace may fall behind before the latency is not that of this rate.
_PACE_LEAST = 0.95
_TICK_SECONDS = 0.001
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def measure(count: int) -> dict[str, float]:
    """Publish so many events, :data:`EVENTS_A_SECOND` a second.

    Returns:
        ``rate``: events a second, as they were published.

    Raises:
        RuntimeError: the pace could not be kept.
    """
    drawn = usages(count)
    # Without confirms: the client walks through all that are open at each, and would fall behind by itself.
    async with broker_channel(os.environ[AMQP_URL], confirms=False) as channel:
        async with asyncio.TaskGroup() as unwritten:
            began = time.perf_counter()
            published = 0
            while published < count:
                due = min(count, int((time.perf_counter() - began) * EVENTS_A_SECOND))
                for usage in drawn[published:due]:
                    unwritten.create_task(_publish(channel, usage))
                published = max(published, due)
                await asyncio.sleep(_TICK_SECONDS)
            rate = count / (time.perf_counter() - began)
        # The answer comes after all that was published before.
        await depth(channel)
    if rate < _PACE_LEAST * EVENTS_A_SECOND:
        raise RuntimeError(f"{rate:.0f} events a second were published instead of {EVENTS_A_SECOND}")
    return {"rate": rate}


async def _publish(channel: AbstractChannel, usage: Usage) -> None:
    # The stamp is the event's time, too, so that whoever settles the event knows it.
    stamp_us = time.time_ns() // 1_000
    event = encoded_event(usage, _EPOCH + timedelta(microseconds=stamp_us))
    await publish(channel, single_message(usage, event), stamp_us)


if __name__ == "__main__":
    answer(measure(int(sys.argv[1])))
