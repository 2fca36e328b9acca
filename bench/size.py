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
        handler_events: for the peers with a transaction per event.
        recorded_events: for the publisher.
        steady_seconds: how long usage arrives at a steady rate for the latency.
        backlog_events: for the worker's memory.
        backlog_rounds: how often that is drained.
        summed_events: for drains beside which as many are added up.
        present_rows: in the ledger that new events are added to.
        many_organizations: for drains over more organizations than usual.
        period_rows: of the one organization whose usage is added up and paged through.
        requests: a round, of each kind.
        in_haste: whether lines share one run of the usual drain, instead of each having its neighbour, and
            one server, little is warmed up, no run waits until the disk has what the one before wrote, and
            processes are forks of one that has imported meter.
    """

    rounds: int
    batch_events: int
    single_events: int
    handler_events: int
    recorded_events: int
    steady_seconds: int
    backlog_events: int
    backlog_rounds: int
    summed_events: int
    present_rows: int
    many_organizations: int
    period_rows: int
    requests: int
    in_haste: bool


#: Every run lasts some seconds on two cores.
FULL = Size(
    rounds=5,
    batch_events=200_000,
    single_events=40_000,
    handler_events=6_000,
    recorded_events=300_000,
    steady_seconds=20,
    backlog_events=1_000_000,
    backlog_rounds=3,
    summed_events=1_500_000,
    present_rows=20_000_000,
    many_organizations=100_000,
    period_rows=10_000_000,
    requests=300,
    in_haste=False,
)
#: To see that everything runs; the figures are coarse.
QUICK = Size(
    rounds=1,
    batch_events=10_000,
    single_events=2_000,
    handler_events=300,
    recorded_events=10_000,
    steady_seconds=1,
    backlog_events=10_000,
    backlog_rounds=1,
    summed_events=10_000,
    present_rows=50_000,
    many_organizations=2_000,
    period_rows=50_000,
    requests=10,
    in_haste=True,
)
