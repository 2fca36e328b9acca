"""Settlement that does not give up: waits for the database, and finds the one event no retry can settle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from meter.consumers.patience import until_answered
from meter.db.outcomes import EventNotSettleable, Outcome, SettledEvent
from meter.events import RefusalReason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from meter.consumers.database_state import DatabaseState
    from meter.events import Event


class Settle(Protocol):
    """Settles events in one transaction; ``meter.db.settlement.Settlement`` does."""

    async def settle(self, events: Sequence[Event]) -> list[SettledEvent]:
        """Settle events, all of them or none.

        Args:
            events: in the order of their messages.

        Returns:
            One outcome for each, in order.

        Raises:
            EventNotSettleable: an event among them is a data error.
            DatabaseUnavailable: the same events can be settled later.
        """


class PatientSettlement:
    """Settles whatever can be settled, however long it takes."""

    def __init__(self, settlement: Settle, database: DatabaseState) -> None:
        """Wrap a settlement.

        Args:
            settlement: one attempt.
            database: told of every success and failure, and of attempts without an answer.
        """
        self._settlement = settlement
        self._database = database

    async def settle(self, events: Sequence[Event]) -> list[SettledEvent]:
        """Settle events; a data error is searched for by halving.

        Args:
            events: in the order of their messages.

        Returns:
            One outcome for each, in order; ``refused`` for an event that cannot be settled even alone.
        """
        return await _halving(self._until_answered, events)

    async def settle_or_raise(self, events: Sequence[Event]) -> list[SettledEvent]:
        """Settle events as ``settle`` does, but leave waiting for the database to the caller.

        Args:
            events: in the order of their messages.

        Returns:
            As ``settle``.

        Raises:
            DatabaseUnavailable: the same events can be settled later.
        """
        return await _halving(self._settlement.settle, events)

    async def _until_answered(self, events: Sequence[Event]) -> list[SettledEvent]:
        return await until_answered(self._database, lambda: self._settlement.settle(events))


async def _halving(
    attempt: Callable[[Sequence[Event]], Awaitable[list[SettledEvent]]], events: Sequence[Event]
) -> list[SettledEvent]:
    try:
        return await attempt(events)
    except EventNotSettleable:
        if len(events) == 1:
            return [SettledEvent(Outcome.REFUSED, RefusalReason.NOT_SETTLEABLE.value, 0)]
    middle = len(events) // 2
    # One half after the other: later events may depend on what earlier ones left in the pool.
    return [*await _halving(attempt, events[:middle]), *await _halving(attempt, events[middle:])]
