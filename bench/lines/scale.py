"""B6: whether a long ledger, or many organizations, make settlement slower."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from bench import history
from bench.databases import Seed
from bench.figures import Target
from bench.messages import batch_messages, encoded_events
from bench.rounds import Ratio, Rounds, Run
from bench.workload import usages

if TYPE_CHECKING:
    from bench.figures import Figure
    from bench.measuring import Bench
    from bench.messages import Message

_EMPTY, _LONG = "no rows present", "20 million rows present"
_FEW, _MANY = "1,000 organizations", "100,000 organizations"
_LENGTH = Ratio(Target("B6a", _LONG, _EMPTY, 0.90), _LONG, _EMPTY)
_BREADTH = Ratio(Target("B6b", _MANY, _FEW, 0.90), _MANY, _FEW)
TARGETS = (_LENGTH.target, _BREADTH.target)

_HISTORY = "bench_history"
_PAST = timedelta(days=365)


class _Runs:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.seed = Seed("bench_many", organizations=bench.size.many_organizations)
        self._dsn = ""

    async def load(self) -> None:
        """Settle what the past is made of, and the past."""
        self._bench.step("rows to repeat")
        self._dsn = await self._bench.stack.databases.add(_HISTORY)
        await self.long()
        await history.multiply(
            self._dsn, rows=self._bench.size.present_rows, past=_PAST, step=self._bench.step
        )
        self._bench.step("warming up")
        await self.long()

    async def usual(self) -> float:
        return await self._bench.charged(await self._bench.stack.databases.fresh(), self._bench.batches)

    async def long(self) -> float:
        await self._bench.stack.databases.checkpoint()
        return await self._bench.charged(self._dsn, self._new())

    async def many(self) -> float:
        dsn = await self._bench.stack.databases.fresh(self.seed)
        return await self._bench.charged(dsn, self._new(self.seed.organizations))

    def _new(self, *organizations: int) -> list[Message]:
        drawn = usages(self._bench.size.batch_events, *organizations)
        return batch_messages(drawn, encoded_events(drawn))


def steps(bench: Bench) -> int:
    """How many steps will be reported."""
    length, breadth = _rounds(_Runs(bench))
    loading = 2 + history.STEPS if bench.wants(_LENGTH.target) else 0
    return loading + length.steps(bench) + breadth.steps(bench)


async def measure(bench: Bench) -> list[Figure]:
    """Drain into databases that hold more; a database is removed once it is done with."""
    runs = _Runs(bench)
    length, breadth = _rounds(runs)
    figures: list[Figure] = []
    if bench.wants(_LENGTH.target):
        await runs.load()
        figures += await length.measure(bench)
        await bench.stack.databases.drop(_HISTORY)
    figures += await breadth.measure(bench)
    await bench.stack.databases.forget(runs.seed)
    return figures


def _rounds(runs: _Runs) -> tuple[Rounds, Rounds]:
    return (
        Rounds((Run(_EMPTY, runs.usual), Run(_LONG, runs.long)), (_LENGTH,)),
        Rounds((Run(_FEW, runs.usual), Run(_MANY, runs.many)), (_BREADTH,)),
    )
