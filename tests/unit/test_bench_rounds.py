"""A run of the bench that fails costs the lines that need it their figures, and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bench.figures import Target
from bench.measuring import Bench
from bench.rounds import Ratio, Rounds, Run, repeated
from bench.size import FULL

if TYPE_CHECKING:
    from aiormq.abc import AbstractChannel

    from bench.stack import Stack


def bench_without_servers(complaints: list[str]) -> Bench:
    """A bench for runs that need no server."""
    return Bench(
        cast("Stack", None),
        cast("AbstractChannel", None),
        FULL,
        frozenset(),
        lambda _what: None,
        lambda what, error: complaints.append(f"{what}: {error}"),
    )


async def steady() -> float:
    return 2.0


async def test_a_failing_run_leaves_the_figures_of_other_lines() -> None:
    runs = 0

    async def breaking() -> float:
        nonlocal runs
        runs += 1
        if runs > 1:
            raise RuntimeError("out of luck")
        return 1.0

    rounds = Rounds(
        (
            Run("steady", steady),
            Run("breaking", breaking),
            Run("upon it", steady, after="breaking"),
            Run("other", steady),
        ),
        (
            Ratio(Target("X1", "breaking", "steady", 1.0), "breaking", "steady"),
            Ratio(Target("X2", "upon it", "steady", 1.0), "upon it", "steady"),
            Ratio(Target("X3", "other", "steady", 1.0), "other", "steady"),
        ),
    )
    complaints: list[str] = []
    broken, upon_it, other = await rounds.measure(bench_without_servers(complaints))
    assert complaints == ["breaking: out of luck"]
    assert list(broken.samples) == []
    assert not broken.holds
    assert list(upon_it.samples) == []
    assert list(other.samples) == [1.0] * FULL.rounds
    assert other.holds


async def test_a_run_that_a_round_takes_twice_is_as_if_it_had_been_one() -> None:
    rates = iter([1.0, 3.0] * FULL.rounds)

    async def unsteady() -> float:
        return next(rates)

    twice = Run("unsteady", unsteady)
    ratio = Ratio(Target("X1", "unsteady", "steady", 1.0), "unsteady", "steady")
    rounds = Rounds((twice, Run("steady", steady), twice), (ratio,))
    (figure,) = await rounds.measure(bench_without_servers([]))
    assert list(figure.samples) == [0.75] * FULL.rounds
    assert figure.parts == {"unsteady": [1.5] * FULL.rounds, "steady": [2.0] * FULL.rounds}


async def test_a_run_that_fails_the_second_time_in_a_round_has_no_figure() -> None:
    rates = iter([1.0])

    async def breaking() -> float:
        return next(rates)

    run = Run("breaking", breaking)
    rounds = Rounds(
        (run, Run("steady", steady), run),
        (Ratio(Target("X1", "breaking", "steady", 1.0), "breaking", "steady"),),
    )
    (broken,) = await rounds.measure(bench_without_servers([]))
    assert list(broken.samples) == []


async def test_figures_of_a_run_that_fails_in_any_round_are_not_told() -> None:
    runs = 0

    async def breaking() -> dict[str, float]:
        nonlocal runs
        runs += 1
        if runs > 1:
            raise RuntimeError("out of luck")
        return {"X1": 1.0}

    complaints: list[str] = []
    target = Target("X1", "what", "against", 1.0)
    (figure,) = await repeated(bench_without_servers(complaints), (target,), "run", breaking, 3)
    assert list(figure.samples) == []
    assert complaints == ["run: out of luck"]
    assert runs == 2
