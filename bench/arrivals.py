"""A worker beside what is measured: with nothing to do, or with usage that goes on arriving."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bench.backlog import publish_all
from bench.messages import batch_messages, encoded_events
from bench.one_organization import varied_usages
from bench.workers import ready, running_workers
from bench.workload import EVENTS_A_MESSAGE
from meter.consumers.topology import USAGE_QUEUE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiormq.abc import AbstractChannel

    from bench.measuring import Bench

#: Of the one organization: 250 times what ten million a month are.
EVENTS_A_SECOND = 1_000


@asynccontextmanager
async def nothing_arriving(bench: Bench, dsn: str) -> AsyncIterator[None]:
    """Let a worker run that has nothing to settle.

    Args:
        bench: the run.
        dsn: the worker's database.
    """
    await bench.channel.queue_purge(USAGE_QUEUE)
    async with running_workers(bench.stack, dsn) as workers:
        await ready(workers[0].url)
        yield


@asynccontextmanager
async def settled_steadily(bench: Bench, dsn: str) -> AsyncIterator[None]:
    """Let usage of one organization arrive, and a worker settle it and do all else that it does.

    Args:
        bench: the run.
        dsn: the database to settle into.
    """
    async with nothing_arriving(bench, dsn):
        arriving = asyncio.create_task(_arrive(bench.channel))
        try:
            yield
        finally:
            arriving.cancel()
            await asyncio.wait([arriving])
    await bench.channel.queue_purge(USAGE_QUEUE)


async def _arrive(channel: AbstractChannel) -> None:
    usages = varied_usages(EVENTS_A_MESSAGE)
    while True:
        pause = asyncio.create_task(asyncio.sleep(EVENTS_A_MESSAGE / EVENTS_A_SECOND))
        await publish_all(channel, batch_messages(usages, encoded_events(usages)))
        await pause
