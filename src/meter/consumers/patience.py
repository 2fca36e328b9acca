"""Trying until the database answers, however long it takes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from meter.backoff import Backoff
from meter.db.outcomes import DatabaseUnavailable, EventNotSettleable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from meter.consumers.database_state import DatabaseState

T = TypeVar("T")

#: The longest wait between two attempts, in seconds: after an outage settling goes on within so long.
LONGEST_WAIT_S = 5.0


async def until_answered(database: DatabaseState, attempt: Callable[[], Awaitable[T]]) -> T:
    """Try until the database answers.

    Args:
        database: told of every success and failure, and of an attempt without an answer.
        attempt: what to try, as often as it takes.

    Returns:
        What the attempt that was answered returned.

    Raises:
        EventNotSettleable: that is the answer.
    """
    backoff = Backoff(longest=LONGEST_WAIT_S)
    with database.waiting() as wait:
        while True:
            try:
                with wait.attempt() as tried:
                    outcome = await attempt()
            except EventNotSettleable:
                database.answered()
                raise
            except DatabaseUnavailable as error:
                database.lost(error, since=tried.since)
            except Exception as error:  # noqa: BLE001 - only a data error may cost an event; this one is ours
                database.lost(error, since=tried.since, unexpected=True)
            else:
                database.answered()
                return outcome
            await asyncio.sleep(backoff.next_seconds())
