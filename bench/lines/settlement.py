"""B1, B2, B3 and B8: how fast a full queue is settled, beside what database and broker can do at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.backlog import broker_channel, fill
from bench.drain import Drain, drain
from bench.figures import Figure, Target, ratios
from bench.peers.copy_rows import copy_rows_again
from bench.peers.process import run_peer
from bench.workload import EVENTS_A_MESSAGE, batch_messages, encoded_events, single_messages, usages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiormq.abc import AbstractChannel

    from bench.size import Size
    from bench.stack import Stack
    from bench.workload import Message

#: Steps that a round reports.
STEPS_A_ROUND = 6

_MANY = f"drain, {EVENTS_A_MESSAGE} a message"
_ONE = "drain, 1 a message"
_PLAIN = "plain handler"
B1 = Target("B1", _MANY, "COPY", 0.80)
B2 = Target("B2", _ONE, "raw consume", 0.90)
B3A = Target("B3a", _MANY, _PLAIN, 45)
B3B = Target("B3b", _ONE, _PLAIN, 12)
B8 = Target("B8", "drain of duplicates", "fresh drain", 1.5)


@dataclass(frozen=True, slots=True)
class _Rates:
    """Events a second, one figure a round."""

    fresh: list[float] = field(default_factory=list)
    copied: list[float] = field(default_factory=list)
    duplicate: list[float] = field(default_factory=list)
    single: list[float] = field(default_factory=list)
    raw: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)


class _Round:
    """Everything once, in the same order each time, so that neighbours in time are compared."""

    def __init__(
        self, stack: Stack, channel: AbstractChannel, size: Size, step: Callable[[str], None]
    ) -> None:
        self._stack = stack
        self._channel = channel
        self._step = step
        drawn = usages(size.batch_events)
        events = encoded_events(drawn)
        self._batches = batch_messages(drawn, events)
        self._singles = single_messages(drawn[: size.single_events], events[: size.single_events])
        self._plain = self._singles[: size.plain_events]
        self._size = size

    async def run(self, rates: _Rates) -> None:
        events = self._size.batch_events
        dsn = await self._stack.fresh_database()
        self._step("B1 drain")
        fresh = await self._drained(dsn, self._batches, events, "charged")
        rates.fresh.append(fresh.rate)
        self._step("B1 peer: COPY")
        rates.copied.append(events / await copy_rows_again(dsn, rows=events))
        self._step("B8 drain of duplicates")
        again = await self._drained(dsn, self._batches, events, "duplicate")
        rates.duplicate.append(again.rate)
        self._step("B2 drain")
        dsn = await self._stack.fresh_database()
        single = await self._drained(dsn, self._singles, len(self._singles), "charged")
        rates.single.append(single.rate)
        self._step("B2 peer: raw consume")
        rates.raw.append(await self._peer("raw_consume", self._singles))
        self._step("B3 peer: plain handler")
        dsn = await self._stack.fresh_database()
        rates.plain.append(await self._peer("plain_handler", self._plain, dsn))

    async def _drained(self, dsn: str, messages: Sequence[Message], events: int, outcome: str) -> Drain:
        await fill(self._channel, messages)
        drained = await drain(self._stack, self._channel, dsn, events=events)
        if drained.outcomes.get(outcome) != events:
            raise RuntimeError(f"all {events} events should be {outcome}: {drained.outcomes}")
        return drained

    async def _peer(self, name: str, messages: Sequence[Message], dsn: str = "") -> float:
        await fill(self._channel, messages)
        measured = await run_peer(name, len(messages), amqp_url=self._stack.amqp_url, dsn=dsn)
        return len(messages) / measured["seconds"]


async def measure(stack: Stack, size: Size, step: Callable[[str], None]) -> list[Figure]:
    """Measure the drains and their peers.

    Args:
        stack: the servers.
        size: how much.
        step: told what is measured next, :data:`STEPS_A_ROUND` times a round.

    Raises:
        RuntimeError: an event got another outcome than the workload is made for.
    """
    rates = _Rates()
    async with broker_channel(stack.amqp_url) as channel:
        a_round = _Round(stack, channel, size, step)
        for _ in range(size.rounds):
            await a_round.run(rates)
    fresh, single, plain = ("drain", rates.fresh), ("drain", rates.single), (_PLAIN, rates.plain)
    return [
        ratios(B1, fresh, ("COPY", rates.copied)),
        ratios(B2, single, ("raw consume", rates.raw)),
        ratios(B3A, fresh, plain),
        ratios(B3B, single, plain),
        ratios(B8, ("duplicates", rates.duplicate), ("fresh", rates.fresh)),
    ]
