"""Copies of events that are being settled at this moment: they share the answer of the first.

A connection that breaks brings back every message that was not acknowledged, and a publisher that heard no
confirm sends again, so copies come close behind their originals. In the database the second transaction would
wait at the key of the first until that has committed, with all that is in its batch.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meter.db.outcomes import Outcome, SettledEvent
from meter.events import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meter.consumers.settling import Settle
    from meter.events import Event

_DUPLICATE = SettledEvent(Outcome.DUPLICATE, None, 0)


@dataclass(eq=False, slots=True)
class _Flight:
    """A batch on its way; ``landed`` with its outcomes, or with None where it failed."""

    events: Sequence[Event]
    keys: set[str]
    landed: asyncio.Future[Sequence[SettledEvent] | None]


class CoalescedSettlement:
    """Settles an event and its copies once while the first of them is on its way.

    Nothing is remembered of what is settled: whether an event is known is for the database to say. A copy is
    answered after the commit of its original, and is settled by itself where that fails or is refused. Only
    usage of the same content is a copy; conflicts and voids go their way.
    """

    def __init__(self, settlement: Settle) -> None:
        """Wrap a settlement.

        Args:
            settlement: one attempt.
        """
        self._settlement = settlement
        self._flights: list[_Flight] = []

    async def settle(self, events: Sequence[Event]) -> list[SettledEvent]:
        """Settle events, without those that are on their way already.

        Args:
            events: in the order in which they are to be settled.

        Returns:
            One outcome for each, in order; a copy of what is charged, say, is a duplicate.

        Raises:
            EventNotSettleable: as of the settlement; a part of the events may be settled, and is a duplicate
                the next time.
            DatabaseUnavailable: as of the settlement, and the same holds.
        """
        keys = {event.key for event in events}
        if len(keys) == len(events) and all(keys.isdisjoint(flight.keys) for flight in self._flights):
            return await self._fly(events, keys)
        can_be_copied = _keys_of_one_content(events)
        distinct: list[Event] = []
        numbers: dict[str, int] = {}
        places: list[int] = []
        for event in events:
            if event.key not in numbers or event.key not in can_be_copied:
                numbers[event.key] = len(distinct)
                distinct.append(event)
            places.append(numbers[event.key])
        settled = await self._settle_distinct(distinct, can_be_copied)
        answered: set[int] = set()
        outcomes: list[SettledEvent] = []
        for place in places:
            outcomes.append(_of_copy(settled[place]) if place in answered else settled[place])
            answered.add(place)
        return outcomes

    async def _settle_distinct(
        self, events: Sequence[Event], can_be_copied: set[str]
    ) -> Sequence[SettledEvent]:
        in_flight = {
            event.key: (flight, index)
            for flight in self._flights
            for index, event in enumerate(flight.events)
            if event.key in can_be_copied
        }
        originals = {
            event.key: in_flight[event.key]
            for event in events
            if (found := in_flight.get(event.key)) is not None and found[0].events[found[1]] == event
        }
        own = [event for event in events if event.key not in originals]
        own_settled = iter(await self._fly(own, {event.key for event in own}) if own else ())
        copied: dict[str, SettledEvent] = {}
        for key, (flight, index) in originals.items():
            landed = await asyncio.shield(flight.landed)
            # What is refused is known to nobody, and another event may have taken its key meanwhile.
            if landed is not None and landed[index].outcome is not Outcome.REFUSED:
                copied[key] = _of_copy(landed[index])
        again = [event for event in events if event.key in originals and event.key not in copied]
        again_settled = iter(await self.settle(again) if again else ())
        return [
            next(own_settled) if event.key not in originals else copied.get(event.key) or next(again_settled)
            for event in events
        ]

    async def _fly(self, events: Sequence[Event], keys: set[str]) -> list[SettledEvent]:
        flight = _Flight(events, keys, asyncio.get_running_loop().create_future())
        self._flights.append(flight)
        settled: list[SettledEvent] | None = None
        try:
            settled = await self._settlement.settle(events)
        finally:
            self._flights.remove(flight)
            flight.landed.set_result(settled)
        return settled


def _keys_of_one_content(events: Sequence[Event]) -> set[str]:
    """Say of which usage all that have its key are the same, so that it does not matter which is settled."""
    contents: dict[str, Event] = {}
    several = {event.key for event in events if contents.setdefault(event.key, event) != event}
    return {key for key, event in contents.items() if isinstance(event, Usage)} - several


def _of_copy(settled: SettledEvent) -> SettledEvent:
    return settled if settled.outcome in (Outcome.CONFLICT, Outcome.REFUSED) else _DUPLICATE
