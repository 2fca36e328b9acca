"""Usage of which some cannot be charged and some arrives twice, as settlement meets it on a bad day."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.databases import Seed
from bench.messages import batch_messages, encoded_events
from bench.workload import EVENTS_A_MESSAGE, SEED, organization_rank, usages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.messages import Message

#: Every tenth organization by rank out of credits, every tenth plus five in overage.
MIXED = Seed("bench_mixed", change="mixed_balances.sql")
_REDELIVERED_SHARE = 0.05
#: A message comes again at most so many messages later: about what a worker holds when its connection breaks.
_REDELIVERED_WITHIN = 80


@dataclass(frozen=True, slots=True)
class Mixture:
    """A backlog.

    Attributes:
        messages: in the order of their delivery.
        outcomes: how many events must get which outcome.
    """

    messages: Sequence[Message]
    outcomes: Mapping[str, int]


def mixture(events: int) -> Mixture:
    """Make a backlog for a database seeded with :data:`MIXED`.

    Args:
        events: deliveries in all, redelivered ones included.
    """
    fresh_messages = round(events / EVENTS_A_MESSAGE / (1 + _REDELIVERED_SHARE))
    drawn = usages(fresh_messages * EVENTS_A_MESSAGE)
    outcomes = Counter(_outcome(organization_rank(usage.org_id)) for usage in drawn)
    messages = _with_redeliveries(batch_messages(drawn, encoded_events(drawn)))
    outcomes["duplicate"] = (len(messages) - fresh_messages) * EVENTS_A_MESSAGE
    return Mixture(messages, outcomes)


def _outcome(rank: int) -> str:
    return {0: "unfunded", 5: "overage"}.get(rank % 10, "charged")


def _with_redeliveries(messages: Sequence[Message]) -> list[Message]:
    chance = random.Random(SEED)  # noqa: S311 - must be repeatable
    again = chance.sample(range(len(messages)), round(len(messages) * _REDELIVERED_SHARE))
    placed = [(place, message) for place, message in enumerate(messages)]
    placed += [(first + chance.randint(1, _REDELIVERED_WITHIN), messages[first]) for first in again]
    # A stable sort: what comes again comes behind.
    return [message for _, message in sorted(placed, key=lambda pair: pair[0])]
