"""Which faults happen, in which order and for how long: all of it follows from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: How long a part stays broken, in seconds: mostly for a moment, as most faults do.
_SHORT_S = (0.3, 3.0)
#: Now and then for longer than heartbeats and timeouts are patient.
_LONG_S = (15.0, 45.0)
_LONG_SHARE = 0.04
#: So often the next fault does not wait until meter has recovered from this one.
_TOGETHER_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that breaks.

    Attributes:
        kind: what.
        seconds: for how long, where it is not over at once.
        which: of several like it, by number; counted round where there are fewer.
    """

    kind: str
    seconds: float
    which: int


def draw(seed: int, faults: int, families: Mapping[str, Sequence[str]], *, brief: bool) -> list[list[Fault]]:
    """Draw faults, in groups that happen together.

    Every family has its turn before one has its next, and within a family every kind.

    Args:
        seed: the same one draws the same faults.
        faults: how many in all.
        families: kinds of faults by what they break.
        brief: nothing lasts long.

    Returns:
        Groups of one or two faults; those of a group are of different families.
    """
    dice = random.Random(seed)
    turns = {family: _in_turn(dice, kinds) for family, kinds in families.items()}
    drawn: list[list[Fault]] = []
    left = faults
    names: list[str] = []
    while left:
        if not names:
            names = dice.sample(list(families), len(families))
        together = left > 1 and len(names) > 1 and dice.random() < _TOGETHER_SHARE
        group = [_fault(dice, next(turns[names.pop()]), brief=brief) for _ in range(2 if together else 1)]
        drawn.append(group)
        left -= len(group)
    return drawn


def _in_turn(dice: random.Random, kinds: Sequence[str]) -> Iterator[str]:
    while True:
        yield from dice.sample(list(kinds), len(kinds))


def _fault(dice: random.Random, kind: str, *, brief: bool) -> Fault:
    lasts_long = dice.random() < _LONG_SHARE and not brief
    return Fault(kind, round(dice.uniform(*(_LONG_S if lasts_long else _SHORT_S)), 1), dice.randrange(16))
