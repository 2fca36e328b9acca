"""Copies of events that are on their way are answered by the settlement of the first."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drafted_usage import drafted_usage

from meter.consumers.copies import CoalescedSettlement
from meter.db.outcomes import DatabaseUnavailable, Outcome, SettledEvent
from meter.events import CONTENT_TYPE_EVENT, Usage, decode_message

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from meter.events import Event

_IDS = [f"0199f0a0-0000-7000-8000-{number:012d}" for number in range(6)]
_TIME = "2026-01-31T12:00:00Z"
_VOID = {
    "specversion": "1.0",
    "type": "meter.usage.void.v1",
    "id": _IDS[5],
    "source": "tests",
    "subject": "acme",
    "time": _TIME,
    "data": {"target_source": "tests", "target_id": _IDS[0], "reason": "a mistake"},
}


def usage(number: int = 0, credits: int = 1) -> Usage:
    """An event; made anew at each call, as each delivery is decoded anew."""
    return drafted_usage(id=_IDS[number], time=_TIME, credits=credits)


def void() -> Event:
    (read,) = decode_message(json.dumps(_VOID).encode(), CONTENT_TYPE_EVENT).events
    return read


class Ledger:
    """Settles by the rule of the house, a batch at a time, whenever it is let; refuses what costs nothing."""

    def __init__(self, *failures: Exception) -> None:
        self.entries: dict[str, Event] = {}
        self.batches: list[list[Event]] = []
        self.open = asyncio.Event()
        self.open.set()
        self._failures = list(failures)

    async def settle(self, events: Sequence[Event]) -> list[SettledEvent]:
        self.batches.append(list(events))
        await self.open.wait()
        if self._failures:
            raise self._failures.pop()
        return [self._settle(event) for event in events]

    def _settle(self, event: Event) -> SettledEvent:
        first = self.entries.get(event.key)
        if first is not None:
            return SettledEvent(Outcome.DUPLICATE if first == event else Outcome.CONFLICT, None, 0)
        if isinstance(event, Usage) and event.credits == 0:
            return SettledEvent(Outcome.REFUSED, "future_time", 0)
        self.entries[event.key] = event
        return SettledEvent(Outcome.CHARGED, None, event.credits or 0 if isinstance(event, Usage) else 0)


async def on_their_way(
    settlement: CoalescedSettlement, *batches: Sequence[Event]
) -> list[asyncio.Task[list[SettledEvent]]]:
    """Begin to settle batches; all wait for the ledger to open, or for one that does."""
    settling = [asyncio.create_task(settlement.settle(batch)) for batch in batches]
    for _ in range(2):
        await asyncio.sleep(0)
    return settling


def outcomes(settled: Sequence[SettledEvent]) -> list[str]:
    return [each.outcome.value for each in settled]


async def test_a_copy_in_the_same_batch_is_a_duplicate_and_settled_by_nobody() -> None:
    ledger = Ledger()
    settled = await CoalescedSettlement(ledger).settle([usage(0), usage(1), usage(0)])
    assert outcomes(settled) == ["charged", "charged", "duplicate"]
    assert ledger.batches == [[usage(0), usage(1)]]


async def test_a_copy_of_what_is_on_its_way_is_answered_after_that_and_not_before() -> None:
    ledger = Ledger()
    ledger.open.clear()
    settlement = CoalescedSettlement(ledger)
    first, second = await on_their_way(settlement, [usage(0)], [usage(0), usage(1)])
    assert not first.done()
    assert not second.done()
    ledger.open.set()
    assert outcomes(await first) == ["charged"]
    assert outcomes(await second) == ["duplicate", "charged"]
    assert ledger.batches == [[usage(0)], [usage(1)]]


async def test_nothing_is_remembered_of_what_is_settled() -> None:
    ledger = Ledger()
    settlement = CoalescedSettlement(ledger)
    await settlement.settle([usage(0)])
    assert outcomes(await settlement.settle([usage(0)])) == ["duplicate"]
    assert ledger.batches == [[usage(0)], [usage(0)]]


async def test_other_content_under_the_same_key_is_settled_and_is_the_conflict() -> None:
    ledger = Ledger()
    batch = [usage(0), usage(0, credits=2), usage(0)]
    assert outcomes(await CoalescedSettlement(ledger).settle(batch)) == ["charged", "conflict", "duplicate"]
    assert ledger.batches == [batch]


async def test_a_copy_of_what_is_refused_is_refused_alike() -> None:
    settled = await CoalescedSettlement(Ledger()).settle([usage(0, credits=0), usage(0, credits=0)])
    assert settled == [SettledEvent(Outcome.REFUSED, "future_time", 0)] * 2


async def test_a_copy_of_what_was_refused_in_another_batch_is_settled_by_itself() -> None:
    ledger = Ledger()
    settlement = CoalescedSettlement(ledger)
    ledger.open.clear()
    both = await on_their_way(settlement, [usage(0, credits=0)], [usage(0, credits=0)])
    ledger.open.set()
    assert [outcomes(await settled) for settled in both] == [["refused"], ["refused"]]
    assert ledger.batches == [[usage(0, credits=0)]] * 2


async def test_a_void_is_never_taken_for_a_copy() -> None:
    ledger = Ledger()
    await CoalescedSettlement(ledger).settle([void(), void()])
    assert ledger.batches == [[void(), void()]]


@pytest.mark.parametrize("how", ["failed", "cancelled"])
async def test_a_copy_is_settled_by_itself_where_its_original_was_not(how: str) -> None:
    ledger = Ledger(*[DatabaseUnavailable("gone")] if how == "failed" else [])
    ledger.open.clear()
    settlement = CoalescedSettlement(ledger)
    first, second = await on_their_way(settlement, [usage(0)], [usage(0)])
    if how == "cancelled":
        first.cancel()
    ledger.open.set()
    with pytest.raises((DatabaseUnavailable, asyncio.CancelledError)):
        await first
    assert outcomes(await second) == ["charged"]


async def test_who_gives_up_a_copy_does_not_take_the_original_along() -> None:
    ledger = Ledger()
    ledger.open.clear()
    settlement = CoalescedSettlement(ledger)
    first, second = await on_their_way(settlement, [usage(0)], [usage(0)])
    second.cancel()
    ledger.open.set()
    assert outcomes(await first) == ["charged"]


_BATCHES = st.lists(
    st.lists(st.builds(usage, st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=6), max_size=5
)


#: By whether an event is what the ledger has under its key in the end, and whether it costs nothing.
_POSSIBLE = {
    (True, False): {Outcome.CHARGED, Outcome.DUPLICATE},
    (False, False): {Outcome.CONFLICT},
    (False, True): {Outcome.CONFLICT, Outcome.REFUSED},
}


@given(_BATCHES)
def test_one_batch_after_the_other_has_the_outcomes_that_it_has_anyway(batches: list[list[Usage]]) -> None:
    async def settled(coalesced: bool) -> tuple[list[list[SettledEvent]], dict[str, Event]]:
        ledger = Ledger()
        settlement = CoalescedSettlement(ledger) if coalesced else ledger
        return [await settlement.settle(batch) for batch in batches], ledger.entries

    assert asyncio.run(settled(coalesced=True)) == asyncio.run(settled(coalesced=False))


@given(_BATCHES, st.lists(st.booleans(), max_size=8), st.randoms(use_true_random=False))
def test_batches_at_the_same_time_write_each_event_once_whichever_of_them_fail(
    batches: list[list[Usage]], fails: list[bool], chance: random.Random
) -> None:
    class Slow(Ledger):
        async def settle(self, events: Sequence[Event]) -> list[SettledEvent]:
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            if fails and fails.pop():
                raise DatabaseUnavailable("gone")
            return await super().settle(events)

    async def patiently(settlement: CoalescedSettlement, batch: list[Usage]) -> list[SettledEvent]:
        while True:
            try:
                return await settlement.settle(batch)
            except DatabaseUnavailable:
                pass

    async def settle_all() -> tuple[Ledger, list[list[SettledEvent]]]:
        ledger = Slow()
        settlement = CoalescedSettlement(ledger)
        return ledger, await asyncio.gather(*(patiently(settlement, batch) for batch in batches))

    ledger, settled = asyncio.run(settle_all())
    answers = [
        pair for batch, own in zip(batches, settled, strict=True) for pair in zip(batch, own, strict=True)
    ]
    written = [event.key for event, answer in answers if answer.outcome is Outcome.CHARGED]
    # What was settled beside a copy that then failed is a duplicate the next time.
    assert len(set(written)) == len(written)
    for event, answer in answers:
        assert answer.outcome in _POSSIBLE[event == ledger.entries.get(event.key), event.credits == 0]
