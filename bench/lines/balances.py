"""S4: the balance of an organization over HTTP, beside a bare route that asks the same of the database."""

from __future__ import annotations

import asyncio
import statistics
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from bench.api import served_api, served_bare
from bench.figures import Figure, Target
from bench.http_load import Load
from bench.rounds import Ratio, Rounds, Run
from bench.workload import ORGANIZATIONS, organization_id, user_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from bench.api import Served
    from bench.measuring import Bench
    from bench.workers import Worker

_BARE = "bare Starlette route, one query"
_RATE = 500
_S4A = Target("S4a", "balance lookup, requests/s", _BARE, 0.7)
_S4B = Target("S4b", f"balance lookup, p99 at {_RATE} requests/s beside a drain", _BARE, 2, at="most")
TARGETS = (_S4A, _S4B)
#: Of the requests a round that the size says; one takes half a millisecond.
_LOOKUPS_EACH = 50


def _rounds(bench: Bench) -> tuple[Rounds, Rounds]:
    runs = ((_S4A.title, partial(_api, bench)), (_BARE, partial(_bare, bench)))
    fast = [Run(name, partial(_requests_a_second, bench, serve)) for name, serve in runs]
    slow = [Run(name, partial(_p99_seconds, bench, serve)) for name, serve in runs]
    return (
        Rounds(fast, [Ratio(_S4A, _S4A.title, _BARE)]),
        Rounds(slow, [Ratio(_S4B, _S4A.title, _BARE)]),
    )


def steps(bench: Bench) -> int:
    """How many steps will be reported."""
    return sum(rounds.steps(bench) for rounds in _rounds(bench))


async def measure(bench: Bench) -> list[Figure]:
    """Ask as fast as possible, then at a steady rate while a worker drains at full speed."""
    return [figure for rounds in _rounds(bench) for figure in await rounds.measure(bench)]


async def _requests_a_second(
    bench: Bench, serve: Callable[[str], AbstractAsyncContextManager[Load]]
) -> float:
    requests = bench.size.requests * _LOOKUPS_EACH
    async with serve(await bench.stack.databases.fresh()) as load:
        await load.most(requests // 10)
        return await load.most(requests)


async def _p99_seconds(bench: Bench, serve: Callable[[str], AbstractAsyncContextManager[Load]]) -> float:
    dsn = await bench.stack.databases.fresh()
    took: list[float] = []

    @asynccontextmanager
    async def asked(_workers: Sequence[Worker]) -> AsyncIterator[None]:
        drained = asyncio.Event()
        asking = asyncio.create_task(load.steady(_RATE, drained))
        try:
            yield
        finally:
            drained.set()
            took.extend(await asking)

    async with serve(dsn) as load:
        await load.most(_RATE)
        drained = await bench.drained(dsn, bench.batches, beside=asked)
    drained.expect(charged=drained.events)
    return statistics.quantiles(took, n=100)[98]


@asynccontextmanager
async def _api(bench: Bench, dsn: str) -> AsyncIterator[Load]:
    async with served_api(bench.stack, dsn, user_id(1)) as served:
        yield _load(served)


@asynccontextmanager
async def _bare(bench: Bench, dsn: str) -> AsyncIterator[Load]:
    async with served_bare(bench.stack, dsn) as served:
        yield _load(served)


def _load(served: Served) -> Load:
    """Ask for every organization in turn; the user belongs to all of them."""
    ranks = range(1, ORGANIZATIONS + 1)
    return Load(served, [f"{served.base_path}/credits/{organization_id(rank)}" for rank in ranks])
