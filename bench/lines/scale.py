"""B6 and S3: whether a long ledger, many organizations, or the sums of usage make settlement slower."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from bench import history, rollup
from bench.databases import Seed
from bench.figures import Target
from bench.messages import batch_messages, encoded_events
from bench.rounds import Ratio, Rounds, Run
from bench.workload import usages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bench.drain import Beside, Drain
    from bench.figures import Figure
    from bench.measuring import Bench
    from bench.messages import Message

_EMPTY, _LONG = "no rows present", "20 million rows present"
_SUMMED, _UNSUMMED = "drain, as much summed as settled", "drain without sums"
_FEW, _MANY = "1,000 organizations", "100,000 organizations"
#: On the long ledger, of which the larger organizations are summed.
_ON_LONG = (
    Ratio(Target("B6a", _LONG, _EMPTY, 0.90), _LONG, _EMPTY),
    Ratio(Target("S3", _SUMMED, _UNSUMMED, 0.95), _SUMMED, _UNSUMMED),
)
_BREADTH = Ratio(Target("B6b", _MANY, _FEW, 0.90), _MANY, _FEW)
TARGETS = tuple(ratio.target for ratio in (*_ON_LONG, _BREADTH))

_HISTORY = "bench_history"
_PAST = timedelta(days=365)
_LOADING_STEPS = history.STEPS + 3


class _Runs:
    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.seed = Seed("bench_many", organizations=bench.size.many_organizations)
        self._dsn = ""

    async def load(self) -> None:
        """Settle what the past is made of, and the past."""
        self.bench.step("rows to repeat")
        self._dsn = await self.bench.stack.databases.add(_HISTORY)
        await self.long()
        await history.multiply(self._dsn, rows=self.bench.size.present_rows, past=_PAST, step=self.bench.step)
        self.bench.step("sums of the past")
        await rollup.sum_afresh(self._dsn)
        self.bench.step("warming up")
        await self.long()

    async def long(self) -> float:
        await self.bench.stack.databases.checkpoint()
        return await self.bench.charged(self._dsn, self._new(self.bench.size.batch_events))

    async def summed(self) -> float:
        """Drain, and beside it sum what was settled before: as it is while a backlog lasts for minutes."""
        events = self.bench.size.backlog_events
        while await rollup.queued(self._dsn) < events:
            await self._drained(events)
        rows, seconds = 0, 0.0

        @asynccontextmanager
        async def summing(_workers: object) -> AsyncIterator[None]:
            nonlocal rows, seconds
            step = asyncio.create_task(rollup.step(self._dsn))
            yield
            rows, seconds = await step

        drained = await self._drained(events, beside=summing)
        if rows < events:
            raise RuntimeError(f"{rows} rows were summed while {events} events were settled")
        return drained.events / max(drained.seconds, seconds)

    async def unsummed(self) -> float:
        async with rollup.switched_off(self._dsn):
            return (await self._drained(self.bench.size.backlog_events)).rate

    async def _drained(self, events: int, *, beside: Beside | None = None) -> Drain:
        await self.bench.stack.databases.checkpoint()
        drained = await self.bench.drained(self._dsn, self._new(events), beside=beside)
        drained.expect(charged=events)
        return drained

    async def many(self) -> float:
        dsn = await self.bench.stack.databases.fresh(self.seed)
        return await self.bench.charged(dsn, self._new(self.bench.size.batch_events, self.seed.organizations))

    def _new(self, events: int, *organizations: int) -> list[Message]:
        drawn = usages(events, *organizations)
        return batch_messages(drawn, encoded_events(drawn))


def steps(bench: Bench) -> int:
    """How many steps will be reported."""
    on_long, breadth = _rounds(_Runs(bench))
    return (_LOADING_STEPS if on_long.steps(bench) else 0) + on_long.steps(bench) + breadth.steps(bench)


async def measure(bench: Bench) -> list[Figure]:
    """Drain into databases that hold more; a database is removed once it is done with."""
    runs = _Runs(bench)
    on_long, breadth = _rounds(runs)
    figures: list[Figure] = []
    if on_long.steps(bench):
        await runs.load()
        figures += await on_long.measure(bench)
        await bench.stack.databases.drop(_HISTORY)
    figures += await breadth.measure(bench)
    await bench.stack.databases.forget(runs.seed)
    return figures


def _rounds(runs: _Runs) -> tuple[Rounds, Rounds]:
    return (
        Rounds(
            (
                Run(_EMPTY, runs.bench.usual),
                Run(_LONG, runs.long),
                Run(_SUMMED, runs.summed),
                Run(_UNSUMMED, runs.unsummed),
            ),
            _ON_LONG,
        ),
        Rounds((Run(_FEW, runs.bench.usual), Run(_MANY, runs.many)), (_BREADTH,)),
    )
