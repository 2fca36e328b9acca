"""What a way costs: time of the backend's processor, of ours, and by the clock."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from bench.techniques.ways import sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from bench.techniques.batches import Batch
    from bench.techniques.ways import Way


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


async def cost(connection: asyncpg.Connection, way: Way, batches: Sequence[Batch]) -> Cost:
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


def median(costs: Sequence[Cost]) -> Cost:
    """Take the median of each figure."""
    return Cost(
        statistics.median(cost.backend for cost in costs),
        statistics.median(cost.client for cost in costs),
        statistics.median(cost.clock for cost in costs),
    )


def _times(backend: psutil.Process) -> tuple[float, float, float]:
    used = backend.cpu_times()
    return used.user + used.system, time.process_time(), time.perf_counter()
