"""Where a batch is settled: rated here, then one call of ``settle_usage_columns``, one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from meter.db.attending import attended
from meter.db.no_answer import NO_ANSWER
from meter.db.outcomes import LETTERS, DatabaseUnavailable, EventNotSettleable, Outcome, SettledEvent
from meter.db.rating_data import RatingData
from meter.db.statements import statement
from meter.db.usage_columns import joined, usage_columns
from meter.db.voids import runs_of_one_kind, settle_voids
from meter.errors import OrganizationVanished, StaleRating

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meter.db.usage_columns import Column
    from meter.events import Event, Usage

#: Tries with fresh prices, or without an organization that vanished. Each failure needs someone to change
#: prices, plans or organizations at that very moment; after so many the caller's backoff takes over.
_ATTEMPTS = 5

#: "Data exception": a value that a column or function cannot take.
_DATA_EXCEPTION_CLASS = "22"

#: Batches that are looked through for known events after one was met: they seldom come alone, and a batch
#: that was not looked through is inserted twice over.
_DOUBTS = 8

_KNOWN = tuple(
    letter for letter, (outcome, _) in LETTERS.items() if outcome in (Outcome.DUPLICATE, Outcome.CONFLICT)
)
_UNRECORDED = {
    letter: SettledEvent(outcome, reason, 0)
    for letter, (outcome, reason) in LETTERS.items()
    if not outcome.is_recorded
}


class Settlement:
    """Settles usage events against pools and allocations.

    Args:
        pool: connections acting as ``meter_worker``; several batches may be settled at once.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._rating_data: RatingData | None = None
        #: How many more batches may hold events that are known already.
        self._doubts = 0
        #: Whether the last of those that did held nothing else.
        self._replay = False

    async def settle(self, events: Sequence[Event]) -> list[SettledEvent]:
        """Settle a batch in one transaction: all of it or, on an error, nothing.

        Where voids are among the events, each run of voids and of usage has a transaction of its own, in
        their order, so that none holds the pool of an organization while it waits for keys of another.
        After an error a part of the runs may be settled, and is a duplicate the next time.

        Args:
            events: in the order in which they are to be settled.

        Returns:
            One outcome an event, in the same order.

        Raises:
            EventNotSettleable: an event is a data error; settle them apart to find which.
            DatabaseUnavailable: anything else; the same events can be settled later. Settling again what was
                settled without our hearing of it changes nothing.
        """
        if not events:
            return []
        try:
            async with self._pool.acquire() as connection:
                return await attended(self._pool, connection, self._settle_runs(connection, events))
        except asyncpg.ReadOnlySQLTransactionError as error:
            # Sessions stay as they began: those that can write again, or lead to who can, are new ones.
            await self._pool.expire_connections()
            raise DatabaseUnavailable("the database lets nobody write") from error
        except asyncpg.PostgresError as error:
            if (error.sqlstate or "").startswith(_DATA_EXCEPTION_CLASS):
                raise EventNotSettleable(
                    f"the database cannot take a value (SQLSTATE {error.sqlstate})"
                ) from error
            raise DatabaseUnavailable(
                f"the database refused the batch (SQLSTATE {error.sqlstate})"
            ) from error
        except NO_ANSWER as error:
            raise DatabaseUnavailable(f"the database does not answer ({type(error).__name__})") from error

    async def _settle_runs(
        self, connection: asyncpg.Connection, events: Sequence[Event]
    ) -> list[SettledEvent]:
        settled: list[SettledEvent] = []
        for usage, voids in runs_of_one_kind(events):
            if usage:
                settled += await self._settle(connection, usage)
            if voids:
                settled += await settle_voids(connection, voids)
        return settled

    async def _settle(self, connection: asyncpg.Connection, events: Sequence[Usage]) -> list[SettledEvent]:
        if self._replay:
            known = await _known(connection, events)
            if known is not None:
                return known
        failed = 0
        while failed < _ATTEMPTS:
            data = self._rating_data
            if data is None:
                data = self._rating_data = await RatingData.load(connection)
            await data.learn_plans(connection, {event.org_id for event in events})
            columns, credits = usage_columns(events, data)
            try:
                letters = await _call(connection, columns, data.epoch, expect_new=not self._doubts)
            except asyncpg.UniqueViolationError:
                # Not counted: the next try does not expect, and cannot end so.
                self._doubts = _DOUBTS
            except asyncpg.PostgresError as error:
                failed += 1
                if error.sqlstate == StaleRating.sqlstate:
                    self._rating_data = None
                elif error.sqlstate != OrganizationVanished.sqlstate:
                    raise
            else:
                self._learn(letters)
                return _outcomes(letters, credits)
        raise DatabaseUnavailable(
            "prices, plans or organizations change faster than the batch can be settled"
        )

    def _learn(self, letters: str) -> None:
        known = sum(map(letters.count, _KNOWN))
        if known:
            self._doubts = _DOUBTS
            self._replay = known == len(letters)
        else:
            self._replay = False
            self._doubts = max(0, self._doubts - 1)


async def _known(connection: asyncpg.Connection, events: Sequence[Usage]) -> list[SettledEvent] | None:
    """Answer for a batch of which everything is known; None where something is not, or may not be."""
    columns, credits = usage_columns(events, None)
    try:
        arguments = [joined(column) for column in columns]
    except ValueError:
        return None
    letters: str | None = await connection.fetchval(statement("known_usage"), *arguments)
    return None if letters is None else _outcomes(letters, credits)


async def _call(
    connection: asyncpg.Connection, columns: Sequence[Column], epoch: int, *, expect_new: bool
) -> str:
    arguments: Sequence[Column]
    try:
        name, arguments = "settle_usage_columns", [joined(column) for column in columns]
    except ValueError:
        name, arguments = "settle_usage_arrays", columns
    letters: str = await connection.fetchval(statement(name), *arguments, epoch, expect_new)
    return letters


def _outcomes(letters: str, credits: Sequence[int | None]) -> list[SettledEvent]:
    """Read the answer: one letter an event, so none can be without an outcome."""
    return [
        _UNRECORDED.get(letter) or SettledEvent(*LETTERS[letter], amount or 0)
        for letter, amount in zip(letters, credits, strict=True)
    ]
