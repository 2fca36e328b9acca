"""Settlement that does not give up: waits for the database, and finds the one event no retry can settle."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from meter.backoff import Backoff
from meter.db.outcomes import DatabaseUnavailable, EventNotSettleable, Outcome, SettledEvent
from meter.events import RefusalReason
from meter.telemetry import first_line, get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from meter.events import Event

#: The longest wait between two attempts, in seconds: after an outage settling goes on within so long.
LONGEST_WAIT_S = 5.0

log = get_logger(__name__)


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


class DatabaseState:
    """Whether the database settles at the moment, as the last attempt saw it."""

    def __init__(self) -> None:
        #: Why it does not; None while it does.
        self.trouble: str | None = None
        #: When that began, by the clock of the loop, which nobody sets.
        self._lost_at = 0.0
        self._is_lost = asyncio.Event()

    def lost(self, error: BaseException, *, unexpected: bool = False) -> None:
        """Note a failed attempt; one log line when it is the first.

        Args:
            error: what was raised.
            unexpected: whether it is a bug, whose whereabouts are logged, too.
        """
        if self.trouble is None:
            self._lost_at = asyncio.get_running_loop().time()
            self._is_lost.set()
            cause = error.__cause__ or error
            log.error(
                "the database does not settle, trying again",
                error=type(cause).__name__,
                error_text=first_line(error),
                exc_info=error if unexpected else None,
            )
        self.trouble = f"the database does not settle: {first_line(error)}"

    def answered(self) -> None:
        """Note a success; one log line when it ends an outage."""
        if self.trouble is not None:
            log.info("the database settles again")
            self._is_lost.clear()
        self.trouble = None

    async def away_for(self, seconds: float) -> None:
        """Wait until it has not settled for so long.

        Args:
            seconds: how long, without a success in between.
        """
        while True:
            await self._is_lost.wait()
            left = self._lost_at + seconds - asyncio.get_running_loop().time()
            if left <= 0:
                return
            await asyncio.sleep(left)


class PatientSettlement:
    """Settles whatever can be settled, however long it takes."""

    def __init__(self, settlement: Settle, database: DatabaseState) -> None:
        """Wrap a settlement.

        Args:
            settlement: one attempt.
            database: told of every success and failure.
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
        backoff = Backoff(longest=LONGEST_WAIT_S)
        while True:
            try:
                outcomes = await self._settlement.settle(events)
            except EventNotSettleable:
                self._database.answered()
                raise
            except DatabaseUnavailable as error:
                self._database.lost(error)
            except Exception as error:  # noqa: BLE001 - only a data error may cost an event; this one is ours
                self._database.lost(error, unexpected=True)
            else:
                self._database.answered()
                return outcomes
            await asyncio.sleep(backoff.next_seconds())


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
