"""B6a and S3b: whether a long ledger, or the sums of usage, make settlement slower."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from bench import history, rollup
from bench.databases import execute
from bench.figures import Target
from bench.messages import batch_messages, encoded_events
from bench.polling import polled
from bench.rounds import Ratio, Rounds, Run
from bench.workload import usages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from bench.drain import Beside, Drain
    from bench.figures import Figure
    from bench.measuring import Bench

_EMPTY, _LONG = "no rows present", "20 million rows present"
_LONG_FIRST = f"{_LONG}, first after a checkpoint"
_SUMMED, _UNSUMMED = "drain, as much summed as settled", "drain without sums"
_RATIOS = (
    Ratio(Target("B6a", _LONG, _EMPTY, 0.90), _LONG, _EMPTY),
    Ratio(Target("S3b", _SUMMED, _UNSUMMED, 0.95), _SUMMED, _UNSUMMED),
)
#: Not in haste.
_TOLD = Ratio(Target("B6a", _LONG_FIRST, _EMPTY, None), _LONG_FIRST, _EMPTY)
TARGETS = tuple(ratio.target for ratio in (*_RATIOS, _TOLD))

_DATABASE = "bench_history"
_PAST = timedelta(days=365)
_LOADING_STEPS = history.STEPS + 3
#: What a checkpoint fell into is measured again, so many times in all.
_TRIES = 3
#: A worker takes so many rows off the queue "at about most", which leaves the last batch or two.
_LEFT = 0.02
_SUMMED_POLL_SECONDS = 0.05


class _CheckpointBegan(RuntimeError):
    """While the clock ran."""


class _Runs:
    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._dsn = ""

    async def load(self) -> None:
        """Settle what the past is made of, and the past."""
        bench = self.bench
        bench.step("rows to repeat")
        self._dsn = await bench.add_settled(_DATABASE)
        await history.multiply(self._dsn, rows=bench.size.present_rows, past=_PAST, step=bench.step)
        await bench.stack.databases.checkpoint()
        bench.step("sums of the past")
        await rollup.sum_afresh(self._dsn)
        bench.step("warming up")
        if not bench.size.in_haste:
            await self.long()

    async def long_first(self) -> float:
        """Drain after a checkpoint, when the first change of each page writes all of it into the log."""
        await self._vacuumed()
        await self.bench.stack.databases.checkpoint()
        return (await self._drained(self.bench.size.batch_events)).rate

    async def long(self) -> float:
        """Drain when most pages are in the log."""
        await self._vacuumed()
        return (await self._drained(self.bench.size.batch_events)).rate

    async def summed(self) -> float:
        """Drain while the worker sums what was settled before: as it is while a backlog lasts for minutes."""
        return await self._undisturbed(self._summed)

    async def unsummed(self) -> float:
        """Drain the same, with nothing noted and nothing added up."""
        async with rollup.switched_off(self._dsn, rollup.QUEUEING, rollup.SUMMING):
            return await self._undisturbed(self._unsummed)

    async def _undisturbed(self, measure: Callable[[], Awaitable[float]]) -> float:
        """Measure between two checkpoints: one that falls into one side of a ratio would be all of it."""
        for _ in range(_TRIES - 1):
            with suppress(_CheckpointBegan):
                return await measure()
        return await measure()

    async def _summed(self) -> float:
        events = self.bench.size.summed_events
        await rollup.catch_up(self._dsn)
        await rollup.make_due(self._dsn)
        async with rollup.switched_off(self._dsn, rollup.SUMMING):
            await self._settle_before(events)
        seconds = 0.0

        @asynccontextmanager
        async def summing(_workers: object) -> AsyncIterator[None]:
            nonlocal seconds
            began = time.perf_counter()
            yield
            if await rollup.queued(self._dsn, before) > most_left:
                await polled(
                    lambda: rollup.queued(self._dsn, before),
                    lambda left: left <= most_left,
                    _SUMMED_POLL_SECONDS,
                )
                seconds = time.perf_counter() - began

        before, most_left = await rollup.newest(self._dsn), events * _LEFT
        drained = await self._between_checkpoints(events, beside=summing)
        return events / max(drained.seconds, seconds)

    async def _unsummed(self) -> float:
        size = self.bench.size
        if not size.in_haste:
            await self._settle_before(size.batch_events)
        return (await self._between_checkpoints(size.summed_events)).rate

    async def _settle_before(self, events: int) -> None:
        """Settle events before the clock runs, the last after a checkpoint, so that pages are in the log."""
        warming = 0 if self.bench.size.in_haste else self.bench.size.batch_events
        if events > warming:
            await self._drained(events - warming)
        if warming:
            await self._vacuumed()
            await self.bench.stack.databases.checkpoint()
            await self._drained(warming)

    async def _vacuumed(self) -> None:
        """Vacuum and analyze: what the runs before left of that falls into none of the next.

        PostgreSQL does so by itself, once a minute, when new rows are a fifth of those that are not frozen,
        which are few in a ledger with a past; and no drain into an empty one lasts that long.
        """
        await execute(self._dsn, "vacuum analyze")

    async def _between_checkpoints(self, events: int, *, beside: Beside | None = None) -> Drain:
        before = await self.bench.stack.databases.checkpoints()
        drained = await self._drained(events, beside=beside)
        if await self.bench.stack.databases.checkpoints() != before:
            raise _CheckpointBegan(f"a checkpoint began while the clock ran, {_TRIES} times")
        return drained

    async def _drained(self, events: int, *, beside: Beside | None = None) -> Drain:
        drawn = usages(events)
        messages = batch_messages(drawn, encoded_events(drawn))
        drained = await self.bench.drained(self._dsn, messages, beside=beside)
        drained.expect(charged=events)
        return drained


def steps(bench: Bench) -> int:
    """How many steps will be reported."""
    return _LOADING_STEPS + _rounds(_Runs(bench)).steps(bench)


async def measure(bench: Bench) -> list[Figure]:
    """Drain into a database that holds much; it is removed in the end."""
    runs = _Runs(bench)
    await runs.load()
    figures = await _rounds(runs).measure(bench)
    await bench.stack.databases.drop(_DATABASE)
    return figures


def _rounds(runs: _Runs) -> Rounds:
    empty, summed = Run(_EMPTY, runs.bench.usual), (Run(_SUMMED, runs.summed), Run(_UNSUMMED, runs.unsummed))
    if runs.bench.size.in_haste:
        return Rounds((empty, Run(_LONG, runs.long), *summed), _RATIOS)
    long = Run(_LONG, runs.long, after=_LONG_FIRST)
    return Rounds((empty, Run(_LONG_FIRST, runs.long_first), long, long, empty, *summed), (*_RATIOS, _TOLD))
