from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from tests.malformed import body

from meter.consumers.database_state import DatabaseState
from meter.consumers.settling import PatientSettlement
from meter.db.outcomes import DatabaseUnavailable, EventNotSettleable, Outcome, SettledEvent
from meter.events import CONTENT_TYPE_EVENT, decode_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meter.events import Usage

_CHARGED = SettledEvent(Outcome.CHARGED, None, 10_000_000)
_REFUSED = SettledEvent(Outcome.REFUSED, "not_settleable", 0)
EVENTS = [decode_message(body("acme", number), CONTENT_TYPE_EVENT).events[0] for number in range(64)]


class Book:
    """Settles by a rule: refuses every transaction with a poisonous event, and fails as often as told."""

    def __init__(self, poison: set[str], failures: list[Exception] | None = None) -> None:
        self.settled: list[str] = []
        self.calls = 0
        self._poison = poison
        self._failures = failures or []

    async def settle(self, events: Sequence[Usage]) -> list[SettledEvent]:
        self.calls += 1
        if self._failures:
            raise self._failures.pop()
        if any(event.id in self._poison for event in events):
            raise EventNotSettleable
        self.settled += [event.id for event in events]
        return [_CHARGED for _ in events]


@given(st.sets(st.integers(0, 63), max_size=5), st.integers(1, 64))
def test_only_the_poisonous_events_are_refused_and_the_others_settle_in_order(
    poison: set[int], size: int
) -> None:
    book = Book({f"event-{number}" for number in poison})
    outcomes = asyncio.run(PatientSettlement(book, DatabaseState()).settle(EVENTS[:size]))
    assert outcomes == [_REFUSED if number in poison else _CHARGED for number in range(size)]
    assert book.settled == [f"event-{number}" for number in range(size) if number not in poison]


def test_one_poisonous_event_is_found_by_halving() -> None:
    book = Book({"event-17"})
    asyncio.run(PatientSettlement(book, DatabaseState()).settle(EVENTS))
    assert book.calls == 13


async def test_an_outage_is_waited_out_and_costs_no_event() -> None:
    database = DatabaseState()
    troubles: list[str | None] = []

    class Watched(Book):
        async def settle(self, events: Sequence[Usage]) -> list[SettledEvent]:
            troubles.append(database.trouble)
            return await super().settle(events)

    book = Watched(set(), [DatabaseUnavailable("still gone"), DatabaseUnavailable("gone")])
    assert await PatientSettlement(book, database).settle(EVENTS[:2]) == [_CHARGED, _CHARGED]
    assert troubles == [
        None,
        "the database does not settle: gone",
        "the database does not settle: still gone",
    ]
    assert database.trouble is None


async def test_an_error_nobody_expected_is_an_outage_and_no_reason_to_refuse() -> None:
    database = DatabaseState()
    book = Book(set(), [KeyError("a bug")])
    assert await PatientSettlement(book, database).settle(EVENTS[:1]) == [_CHARGED]
    assert database.trouble is None
