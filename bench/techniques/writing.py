"""Ways to write a batch, compared: time of the backend's processor, of ours, and by the clock."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
import psutil

from bench.messages import encoded_events
from bench.techniques.batches import batches
from bench.techniques.ways import GROUPS, sql
from bench.workload import usages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.techniques.batches import Batch
    from bench.techniques.ways import Way


HEAD = ("", "way", "backend CPU", "spread", "÷ the first's", "client CPU", "clock")
#: Runs of a round.
RUNS = sum(map(len, GROUPS.values()))


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds an event.

    Attributes:
        backend: of the processor, of the connection's backend; not what is written in the background.
        client: of the processor, of this process: from rows as tuples to the answer.
        clock: waiting for the commit included.
    """

    backend: float
    client: float
    clock: float


Costs = dict[tuple[str, str], list[Cost]]


async def measure(dsn: str, events: int, rounds: int, step: Callable[[], None]) -> Costs:
    """Write the same usage in every way, in every round, those of a group one after the other.

    Args:
        dsn: a seeded database, as superuser.
        events: how many.
        rounds: how often.
        step: told after every run.
    """
    encoded = encoded_events(usages(events))
    sizes = {way.size for ways in GROUPS.values() for way in ways}
    by_size = {size: batches(encoded, size) for size in sizes}
    costs: Costs = {}
    connection = await asyncpg.connect(dsn)
    try:
        for _ in range(rounds):
            for group, ways in GROUPS.items():
                for way in ways:
                    cost = await _cost(connection, way, by_size[way.size])
                    costs.setdefault((group, way.title), []).append(cost)
                    step()
    finally:
        await connection.close()
    return costs


def rows(costs: Costs) -> list[tuple[str, ...]]:
    """Lay the medians out under :data:`HEAD`; µs an event."""
    laid_out: list[tuple[str, ...]] = []
    for group, ways in GROUPS.items():
        first = statistics.median(cost.backend for cost in costs[group, ways[0].title])
        for way in ways:
            measured = costs[group, way.title]
            backends = [cost.backend for cost in measured]
            backend = statistics.median(backends)
            laid_out.append(
                (
                    group if way is ways[0] else "",
                    way.title,
                    f"{backend:.1f}",
                    f"{min(backends):.1f}–{max(backends):.1f}",
                    f"{backend / first:.2f}",
                    f"{statistics.median(cost.client for cost in measured):.1f}",
                    f"{statistics.median(cost.clock for cost in measured):.1f}",
                )
            )
    return laid_out


async def _cost(connection: asyncpg.Connection, way: Way, batches: Sequence[Batch]) -> Cost:
    """Write batches into an empty ledger.

    Args:
        connection: as superuser.
        way: how.
        batches: what; none of it twice.

    Raises:
        RuntimeError: the ledger does not hold them then.
    """
    await connection.execute(sql("begin"))
    await connection.execute("vacuum analyze organization_credit_pools, user_credit_allocations")
    if way.before is not None:
        await connection.execute(sql(way.before))
    await connection.execute("checkpoint")
    backend = psutil.Process(await connection.fetchval("select pg_backend_pid()"))
    # The first batch makes plans and fills caches.
    await way.write(connection, batches[0])
    began = _times(backend)
    for batch in batches[1:]:
        await way.write(connection, batch)
    ended = _times(backend)
    if way.after is not None:
        await connection.execute(sql(way.after))
    events = sum(len(batch.events) for batch in batches)
    found = await connection.fetchval("select count(*) from credit_usage_attribution")
    if found != events:
        raise RuntimeError(f"{way.title}: {events} events were written and the ledger holds {found}")
    measured = events - len(batches[0].events)
    return Cost(*(1e6 * (end - begin) / measured for begin, end in zip(began, ended, strict=True)))


def _times(backend: psutil.Process) -> tuple[float, float, float]:
    used = backend.cpu_times()
    return used.user + used.system, time.process_time(), time.perf_counter()
