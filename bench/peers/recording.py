"""A service that records usage: what a call costs it, and how much it can have confirmed."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time

from bench.peers.process import AMQP_URL, answer
from bench.workload import Usage, usages
from meter.publisher import Publisher

#: Recorded between two looks at whether the buffer has room; also how often the service lets others run.
_EVENTS_A_TURN = 100
_TIMED = 20_000
#: Within this everything must be confirmed, in seconds.
_FLUSH_SECONDS = 60.0


async def measure(count: int, spool: str | None = None) -> dict[str, float]:
    """Record usage, first with a clock on every call, then as fast as the broker confirms.

    Args:
        count: how many events are recorded and confirmed.
        spool: the folder that keeps them until then, made when absent; None: memory does.

    Returns:
        ``call_us``: the median time of ``record`` on its caller, in microseconds, of calls made while the
        publisher is connected and sending. ``rate``: events confirmed a second, from the first call until the
        last confirm.

    Raises:
        RuntimeError: an event was refused or not confirmed in time.
    """
    drawn = usages(count)
    async with Publisher(os.environ[AMQP_URL], source="bench", spool=spool) as publisher:
        # Connects, and lets everything be loaded.
        await _record(publisher, drawn[:_EVENTS_A_TURN])
        await publisher.flush(_FLUSH_SECONDS)
        call_ns = await _timed_calls(publisher, drawn[:_TIMED])
        await publisher.flush(_FLUSH_SECONDS)
        began = time.perf_counter()
        await _record(publisher, drawn)
        left = await publisher.flush(_FLUSH_SECONDS)
        seconds = time.perf_counter() - began
        if left or publisher.counters.dropped:
            raise RuntimeError(f"{left} events unconfirmed, {publisher.counters.dropped} dropped")
    return {"call_us": statistics.median(call_ns) / 1_000, "rate": count / seconds}


async def _timed_calls(publisher: Publisher, drawn: list[Usage]) -> list[int]:
    taken = []
    for turn, usage in enumerate(drawn):
        began = time.perf_counter_ns()
        _record_one(publisher, usage)
        taken.append(time.perf_counter_ns() - began)
        if turn % _EVENTS_A_TURN == 0:
            await _let_others_run(publisher)
    return taken


async def _record(publisher: Publisher, drawn: list[Usage]) -> None:
    for first in range(0, len(drawn), _EVENTS_A_TURN):
        for usage in drawn[first : first + _EVENTS_A_TURN]:
            _record_one(publisher, usage)
        await _let_others_run(publisher)


async def _let_others_run(publisher: Publisher) -> None:
    # With room left, waiting for it gives nothing else a turn.
    await asyncio.sleep(0)
    await publisher.room()


def _record_one(publisher: Publisher, usage: Usage) -> None:
    metadata = {
        "model": usage.model,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "latency_ms": usage.output_tokens * 11,
    }
    publisher.record(
        usage.org_id, usage.user_id, usage.service_type, request_id="req-7f3a9c52d8e14b06", metadata=metadata
    )


if __name__ == "__main__":
    answer(measure(int(sys.argv[1]), *sys.argv[2:]))
