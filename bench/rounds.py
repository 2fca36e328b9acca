"""Runs that are repeated in rounds, and the ratios made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import harmonic_mean
from typing import TYPE_CHECKING

from bench.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bench.figures import Target
    from bench.measuring import Bench


@dataclass(frozen=True, slots=True)
class Run:
    """Something with a rate.

    Attributes:
        name: as the tables show it.
        measure: runs it once; returns events a second.
        after: the run whose database it goes on with.
    """

    name: str
    measure: Callable[[], Awaitable[float]]
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Ratio:
    """A line made of two runs of the same round."""

    target: Target
    over: str
    under: str


@dataclass(frozen=True, slots=True)
class Rounds:
    """Runs in the order in which each round takes them, so that neighbours in time are compared.

    One that a round takes more than once, as in "one, other, other, one", is as if it had been one long run:
    what slows the machine down for a while then stands on both sides.
    """

    runs: Sequence[Run]
    ratios: Sequence[Ratio]
    #: Every round's rate by run; of a run that failed in any round, none.
    rates: dict[str, list[float]] = field(default_factory=dict)
    _failed: set[str] = field(default_factory=set)

    def needed(self, bench: Bench) -> list[Run]:
        """Leave out what no wanted line needs."""
        names = {name for ratio in self._wanted(bench) for name in (ratio.over, ratio.under)}
        names |= {run.after for run in self.runs if run.name in names and run.after is not None}
        return [run for run in self.runs if run.name in names]

    def steps(self, bench: Bench) -> int:
        """How many runs there will be."""
        return len(self.needed(bench)) * bench.size.rounds

    async def measure(self, bench: Bench) -> list[Figure]:
        """Run the rounds.

        Args:
            bench: what is wanted, and how many rounds.

        Returns:
            The wanted lines; each ratio divides the rates of one round, so that what slows a whole round down
            stands on both sides. A run that fails is not repeated, and lines that need it have no samples.
        """
        needed = self.needed(bench)
        for _ in range(bench.size.rounds):
            of_round: dict[str, list[float]] = {}
            for run in needed:
                bench.step(run.name)
                await self._measure(run, of_round, bench)
            for name in of_round.keys() - self._failed:
                self.rates.setdefault(name, []).append(harmonic_mean(of_round[name]))
        return [self._figure(ratio) for ratio in self._wanted(bench)]

    async def _measure(self, run: Run, of_round: dict[str, list[float]], bench: Bench) -> None:
        try:
            if not self._failed & {run.name, run.after}:
                of_round.setdefault(run.name, []).append(await run.measure())
                return
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and the other lines go on
            bench.complain(run.name, error)
        self._failed.add(run.name)
        self.rates.pop(run.name, None)

    def _wanted(self, bench: Bench) -> list[Ratio]:
        return [ratio for ratio in self.ratios if bench.wants(ratio.target)]

    def _figure(self, ratio: Ratio) -> Figure:
        over, under = self.rates.get(ratio.over), self.rates.get(ratio.under)
        if over is None or under is None:
            return Figure(ratio.target, [], {})
        samples = [a / b for a, b in zip(over, under, strict=True)]
        return Figure(ratio.target, samples, {ratio.over: over, ratio.under: under})


async def repeated(
    bench: Bench,
    targets: Sequence[Target],
    name: str,
    measure: Callable[[], Awaitable[Mapping[str, float]]],
    rounds: int,
) -> list[Figure]:
    """Measure absolute figures, several at a time.

    Args:
        bench: what is wanted.
        targets: the lines.
        name: of the run, for the progress.
        measure: runs it once; returns a figure by line.
        rounds: how often.

    Returns:
        The wanted lines; without samples where a run failed.
    """
    measured = []
    for _ in range(rounds):
        bench.step(name)
        try:
            measured.append(await measure())
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and the other lines go on
            bench.complain(name, error)
            measured.clear()
            break
    return [
        Figure(target, [figures[target.line] for figures in measured], {})
        for target in targets
        if bench.wants(target)
    ]
