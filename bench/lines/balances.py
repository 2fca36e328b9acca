"""S4: the balance of an organization over HTTP, beside a bare route that asks the same of the database."""

from __future__ import annotations

import asyncio
import statistics
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bench.api import served_api, served_bare
from bench.figures import Target
from bench.http_load import Load
from bench.rounds import Ratio, Rounds, Run
from bench.workload import ORGANIZATIONS, organization_id, user_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from bench.api import Served
    from bench.figures import Figure
    from bench.measuring import Bench
    from bench.stack import Stack
    from bench.workers import Worker

    _Serve = Callable[[Stack, str], AbstractAsyncContextManager[Served]]

_BARE = "bare Starlette route, one query"
_RATE = 500
_S4A = Target("S4a", "balance lookup, requests/s", _BARE, 0.7)
_S4B = Target("S4b", f"balance lookup, p99 at {_RATE} requests/s beside a drain", _BARE, 2, at="most")
TARGETS = (_S4A, _S4B)
#: Of the requests a round that the size says; one takes half a millisecond.
_LOOKUPS_EACH = 50
#: How each is started.
_SERVE: Mapping[str, _Serve] = {_S4A.title: partial(served_api, user_id=user_id(1)), _BARE: served_bare}


def steps(bench: Bench) -> int:
    """How many steps will be reported."""
    return sum(rounds.steps(bench) for rounds in _rounds(bench, _Servers(bench)))


async def measure(bench: Bench) -> list[Figure]:
    """Ask as fast as possible, then at a steady rate while a worker drains at full speed."""
    servers = _Servers(bench)
    async with servers.lasting:
        return [figure for rounds in _rounds(bench, servers) for figure in await rounds.measure(bench)]


def _rounds(bench: Bench, servers: _Servers) -> tuple[Rounds, Rounds]:
    fast = [Run(name, partial(_requests_a_second, bench, servers, name)) for name in _SERVE]
    slow = [Run(name, partial(_p99_seconds, bench, servers, name)) for name in _SERVE]
    return (
        Rounds(fast, [Ratio(_S4A, _S4A.title, _BARE)]),
        Rounds(slow, [Ratio(_S4B, _S4A.title, _BARE)]),
    )


async def _requests_a_second(bench: Bench, servers: _Servers, name: str) -> float:
    requests = bench.size.requests * _LOOKUPS_EACH
    async with servers.asked(name) as server:
        await server.load.most(requests // 10)
        return await server.load.most(requests)


async def _p99_seconds(bench: Bench, servers: _Servers, name: str) -> float:
    took: list[float] = []

    async with servers.asked(name) as server:

        @asynccontextmanager
        async def beside(_workers: Sequence[Worker]) -> AsyncIterator[None]:
            drained = asyncio.Event()
            asking = asyncio.create_task(server.load.steady(_RATE, drained))
            try:
                yield
            finally:
                drained.set()
                took.extend(await asking)

        await server.load.most(_RATE)
        drained = await bench.drained(server.dsn, bench.batches, beside=beside)
    drained.expect(charged=drained.events)
    return statistics.quantiles(took, n=100)[98]


@dataclass(frozen=True, slots=True)
class _Server:
    """A running server and its database."""

    load: Load
    dsn: str


class _Servers:
    """Servers on databases of their own.

    Attributes:
        lasting: what runs until all is measured, in haste.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._running: dict[str, _Server] = {}
        self.lasting = AsyncExitStack()

    @asynccontextmanager
    async def asked(self, name: str) -> AsyncIterator[_Server]:
        """Run a server for a run, or in haste for this one and those that ask it afterwards."""
        if not self._bench.size.in_haste:
            async with self._started(name) as server:
                yield server
            return
        if name not in self._running:
            self._running[name] = await self.lasting.enter_async_context(self._started(name))
        yield self._running[name]

    @asynccontextmanager
    async def _started(self, name: str) -> AsyncIterator[_Server]:
        dsn = await self._bench.stack.databases.fresh()
        async with _SERVE[name](self._bench.stack, dsn) as served:
            yield _Server(_load(served), dsn)


def _load(served: Served) -> Load:
    """Ask for every organization in turn; the user belongs to all of them."""
    ranks = range(1, ORGANIZATIONS + 1)
    return Load(served, [f"{served.base_path}/credits/{organization_id(rank)}" for rank in ranks])
