"""B6b: whether many organizations make settlement slower than few."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.databases import USUAL, Seed
from bench.figures import Target
from bench.messages import batch_messages, encoded_events
from bench.rounds import Ratio, Rounds, Run
from bench.workload import usages

if TYPE_CHECKING:
    from bench.figures import Figure
    from bench.measuring import Bench

_FEW, _MANY = "1,000 organizations", "100,000 organizations"
_FEW_FIRST, _MANY_FIRST = f"{_FEW}, first after a checkpoint", f"{_MANY}, first after a checkpoint"
_RATIO = Ratio(Target("B6b", _MANY, _FEW, 0.90), _MANY, _FEW)
_FIRST_RATIO = Ratio(Target("B6b", _MANY_FIRST, _FEW_FIRST, None), _MANY_FIRST, _FEW_FIRST)
TARGETS = (_RATIO.target, _FIRST_RATIO.target)


class _Runs:
    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.seed = Seed("bench_many", organizations=bench.size.many_organizations)
        self._dsn = ""

    async def few_first(self) -> float:
        self._dsn = await self.bench.stack.databases.fresh()
        return await self.few()

    async def few(self) -> float:
        return await self._drained(USUAL.organizations)

    async def many_first(self) -> float:
        self._dsn = await self.bench.stack.databases.fresh(self.seed)
        return await self.many()

    async def many(self) -> float:
        return await self._drained(self.seed.organizations)

    async def _drained(self, organizations: int) -> float:
        drawn = usages(self.bench.size.batch_events, organizations)
        return await self.bench.charged(self._dsn, batch_messages(drawn, encoded_events(drawn)))


def steps(bench: Bench) -> int:
    """How many steps will be reported."""
    return _rounds(_Runs(bench)).steps(bench)


async def measure(bench: Bench) -> list[Figure]:
    """Drain usage of few organizations and of many; the database with many is removed in the end."""
    runs = _Runs(bench)
    figures = await _rounds(runs).measure(bench)
    await bench.stack.databases.forget(runs.seed)
    return figures


def _rounds(runs: _Runs) -> Rounds:
    if runs.bench.size.in_haste:
        return Rounds((Run(_FEW, runs.bench.usual), Run(_MANY, runs.many_first)), (_RATIO,))
    return Rounds(
        (
            Run(_FEW_FIRST, runs.few_first),
            Run(_FEW, runs.few, after=_FEW_FIRST),
            Run(_MANY_FIRST, runs.many_first),
            Run(_MANY, runs.many, after=_MANY_FIRST),
        ),
        (_RATIO, _FIRST_RATIO),
    )
