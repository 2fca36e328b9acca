"""B7: two workers beside one, on usage of many organizations and on usage of which one has most."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from bench.databases import SQL, value
from bench.drain import drain_together
from bench.figures import Target
from bench.messages import batch_messages, encoded_events
from bench.rounds import Ratio, Rounds, Run
from bench.workload import organization_id, usages

if TYPE_CHECKING:
    from bench.drain import Drain
    from bench.figures import Figure
    from bench.measuring import Bench
    from bench.messages import Message

_BIGGEST_SHARE = 0.9
_ONE, _TWO = "1 worker", "2 workers"
_ONE_BIG, _TWO_BIG = "1 worker, one organization 90 %", "2 workers, one organization 90 %"
_RATIOS = (
    Ratio(Target("B7a", _TWO, _ONE, 1.0), _TWO, _ONE),
    Ratio(Target("B7b", _TWO_BIG, _ONE_BIG, 1.0), _TWO_BIG, _ONE_BIG),
)
TARGETS = tuple(ratio.target for ratio in _RATIOS)
#: No worker starves: each of two settles at least this part of all events.
_WORKER_LEAST = 0.2
#: No organization starves: when half of all events are settled, so is this part of those that are not the big
#: organization's.
_OTHERS_LEAST = 0.4


class _Runs:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    @cached_property
    def _big(self) -> list[Message]:
        drawn = usages(self._bench.size.batch_events, biggest_share=_BIGGEST_SHARE)
        return batch_messages(drawn, encoded_events(drawn))

    async def one(self) -> float:
        if self._bench.size.in_haste:
            return await self._bench.usual()
        return await self._drained(self._bench.batches, workers=1)

    async def two(self) -> float:
        return await self._drained(self._bench.batches, workers=2)

    async def one_big(self) -> float:
        return await self._drained(self._big, workers=1)

    async def two_big(self) -> float:
        return await self._drained(self._big, workers=2)

    async def _drained(self, messages: list[Message], workers: int) -> float:
        bench = self._bench
        dsn = await bench.stack.databases.fresh()
        drained = await drain_together(bench.stack, bench.channel, dsn, messages, workers=workers)
        drained.expect(charged=sum(message.events for message in messages))
        await _check(dsn, drained)
        return drained.rate


def steps(bench: Bench) -> int:
    """How many steps will be reported."""
    return _rounds(bench).steps(bench)


async def measure(bench: Bench) -> list[Figure]:
    """Drain with one worker and with two."""
    return await _rounds(bench).measure(bench)


def _rounds(bench: Bench) -> Rounds:
    runs = _Runs(bench)
    return Rounds(
        (
            Run(_ONE, runs.one),
            Run(_TWO, runs.two),
            Run(_ONE_BIG, runs.one_big),
            Run(_TWO_BIG, runs.two_big),
        ),
        _RATIOS,
    )


async def _check(dsn: str, drained: Drain) -> None:
    """Hold a drain to "no deadlock, no starvation".

    Raises:
        RuntimeError: there was one.
    """
    deadlocks = await value(dsn, (SQL / "deadlocks.sql").read_text())
    if deadlocks:
        raise RuntimeError(f"{deadlocks} deadlocks")
    shares = [sum(outcomes.values()) / drained.outcomes.total() for outcomes in drained.by_worker]
    if min(shares) < _WORKER_LEAST:
        raise RuntimeError(f"one of the workers settled {min(shares):.0%} of the events")
    others = await value(dsn, (SQL / "others_at_half.sql").read_text(), organization_id(1))
    if others < _OTHERS_LEAST:
        raise RuntimeError(f"other organizations waited for the big one: {others:.0%} settled at half time")
