"""S3a: whether B1 is slower because what it settles is summed too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import rollup
from bench.figures import Target
from bench.rounds import Ratio, Rounds, Run

if TYPE_CHECKING:
    from bench.figures import Figure
    from bench.measuring import Bench

_SUMMED, _UNSUMMED = "B1's drain", "B1's drain without sums"
_RATIO = Ratio(Target("S3a", _SUMMED, _UNSUMMED, 0.95), _SUMMED, _UNSUMMED)
TARGETS = (_RATIO.target,)


def steps(bench: Bench) -> int:
    """How many steps will be reported."""
    return _rounds(bench).steps(bench)


async def measure(bench: Bench) -> list[Figure]:
    """Drain with sums and without."""
    return await _rounds(bench).measure(bench)


def _rounds(bench: Bench) -> Rounds:
    async def without_sums() -> float:
        dsn = await bench.stack.databases.fresh()
        async with rollup.switched_off(dsn, rollup.QUEUEING, rollup.SUMMING):
            return await bench.charged(dsn, bench.batches)

    summed, unsummed = Run(_SUMMED, bench.usual), Run(_UNSUMMED, without_sums)
    if bench.size.in_haste:
        return Rounds((summed, unsummed), (_RATIO,))
    # A drain lasts seconds, in which the machine's neighbours make more difference than sums.
    return Rounds((summed, unsummed, unsummed, summed) * 2, (_RATIO,))
