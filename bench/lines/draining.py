"""B1, B2, B3, B8 and B10: how fast a full queue is settled, beside what database and broker can do at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.figures import Target
from bench.mixture import MIXED, mixture
from bench.peers.copy_rows import copy_rows_again
from bench.rounds import Ratio, Rounds, Run
from bench.workload import EVENTS_A_MESSAGE

if TYPE_CHECKING:
    from bench.figures import Figure
    from bench.measuring import Bench

_MANY = f"drain, {EVENTS_A_MESSAGE} a message"
_ONE = "drain, 1 a message"
_COPY = "COPY"
_RAW = "raw consume"
_FASTSTREAM = "FastStream handler"
_PLAIN = "plain handler"
_MIXED = "drain, some short of credits"
_AGAIN = "drain of duplicates"
_RATIOS = (
    Ratio(Target("B1", _MANY, _COPY, 0.80), _MANY, _COPY),
    Ratio(Target("B2", _ONE, _RAW, 0.90), _ONE, _RAW),
    Ratio(Target("B3a", _MANY, _FASTSTREAM, 45), _MANY, _FASTSTREAM),
    Ratio(Target("B3b", _ONE, _FASTSTREAM, 12), _ONE, _FASTSTREAM),
    Ratio(Target("B3a", _MANY, _PLAIN, None), _MANY, _PLAIN),
    Ratio(Target("B3b", _ONE, _PLAIN, None), _ONE, _PLAIN),
    Ratio(Target("B8", _AGAIN, "B1's drain", 1.5), _AGAIN, _MANY),
    Ratio(Target("B10", _MIXED, "B1's drain", 0.80), _MIXED, _MANY),
)
TARGETS = tuple(ratio.target for ratio in _RATIOS)


class _Runs:
    """Every run, on a database of its own where it is not said otherwise."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._databases = bench.stack.databases
        #: The database of the last drain at many a message.
        self._dsn = ""

    async def many(self) -> float:
        self._dsn = await self._databases.fresh()
        return await self._bench.charged(self._dsn, self._bench.batches)

    async def copy(self) -> float:
        rows = sum(message.events for message in self._bench.batches)
        return rows / await copy_rows_again(self._dsn, rows=rows)

    async def again(self) -> float:
        drained = await self._bench.drained(self._dsn, self._bench.batches)
        drained.expect(duplicate=sum(message.events for message in self._bench.batches))
        return drained.rate

    async def mixed(self) -> float:
        backlog = mixture(self._bench.size.batch_events)
        drained = await self._bench.drained(await self._databases.fresh(MIXED), backlog.messages)
        drained.expect(**backlog.outcomes)
        return drained.rate

    async def one(self) -> float:
        return await self._bench.charged(await self._databases.fresh(), self._bench.singles)

    async def raw(self) -> float:
        return await self._bench.peer("raw_consume", self._bench.singles)

    async def faststream(self) -> float:
        return await self._handler("faststream_handler")

    async def plain(self) -> float:
        return await self._handler("plain_handler")

    async def _handler(self, name: str) -> float:
        messages = self._bench.singles[: self._bench.size.handler_events]
        return await self._bench.peer(name, messages, await self._databases.fresh())


def steps(bench: Bench) -> int:
    """How many steps will be reported."""
    return _rounds(bench).steps(bench)


async def measure(bench: Bench) -> list[Figure]:
    """Measure the drains and their peers."""
    return await _rounds(bench).measure(bench)


def _rounds(bench: Bench) -> Rounds:
    runs = _Runs(bench)
    return Rounds(
        (
            Run(_MIXED, runs.mixed),
            Run(_MANY, runs.many),
            Run(_COPY, runs.copy, after=_MANY),
            Run(_AGAIN, runs.again, after=_MANY),
            Run(_ONE, runs.one),
            Run(_RAW, runs.raw),
            Run(_FASTSTREAM, runs.faststream),
            Run(_PLAIN, runs.plain),
        ),
        _RATIOS,
    )
