"""B6b: whether many organizations make settlement slower than few."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.databases import Seed
from bench.figures import Target
from bench.messages import batch_messages, encoded_events
from bench.rounds import Ratio, Rounds, Run
from bench.workload import usages

if TYPE_CHECKING:
    from bench.figures import Figure
    from bench.measuring import Bench

_FEW, _MANY = "1,000 organizations", "100,000 organizations"
_RATIOS = (Ratio(Target("B6b", _MANY, _FEW, 0.90), _MANY, _FEW),)
TARGETS = tuple(ratio.target for ratio in _RATIOS)


class _Runs:
    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.seed = Seed("bench_many", organizations=bench.size.many_organizations)

    async def many(self) -> float:
        dsn = await self.bench.stack.databases.fresh(self.seed)
        drawn = usages(self.bench.size.batch_events, self.seed.organizations)
        return await self.bench.charged(dsn, batch_messages(drawn, encoded_events(drawn)))


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
    return Rounds((Run(_FEW, runs.bench.usual), Run(_MANY, runs.many)), _RATIOS)
