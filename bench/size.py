"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """How many events each run takes, and how often everything is run.

    Attributes:
        rounds: in each, everything is run once, one after the other.
        batch_events: for drains at many events a message.
        single_events: for drains at one event a message.
        plain_events: for the peer with a transaction per event.
        recorded_events: for the publisher.
    """

    rounds: int
    batch_events: int
    single_events: int
    plain_events: int
    recorded_events: int


#: Every run lasts a second or more on two cores.
FULL = Size(rounds=5, batch_events=100_000, single_events=25_000, plain_events=5_000, recorded_events=300_000)
#: To see that everything runs; the figures are coarse.
QUICK = Size(rounds=2, batch_events=20_000, single_events=3_000, plain_events=1_000, recorded_events=30_000)
