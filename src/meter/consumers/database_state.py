"""Whether the database settles: an attempt that fails says that it does not, and so does one not answered."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from meter.consumers.deadline import Deadline
from meter.telemetry import first_line, get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Without an answer for so long, in seconds, the database does not settle, whatever the reason: a standby
#: that every commit waits for, a lock that somebody holds, a server that does nothing. A batch takes a
#: fraction of it.
UNANSWERED_S = 5.0

log = get_logger(__name__)


class DatabaseState:
    """Whether the database settles at the moment, as attempts see it; one log line each time that changes."""

    def __init__(self, unanswered_s: float = UNANSWERED_S) -> None:
        """Begin with a database that settles.

        Args:
            unanswered_s: how long an attempt may be without an answer.
        """
        self._unanswered_s = unanswered_s
        #: Why the last attempt failed; None after one that did not.
        self._failure: str | None = None
        #: Who waits without an answer for too long, and since when.
        self._unanswered: dict[Wait, float] = {}
        #: When it began not to settle, by the clock of the loop, which nobody sets.
        self._lost_at = 0.0
        #: When it last began to settle again.
        self._back_at = 0.0
        self._is_lost = asyncio.Event()

    @property
    def trouble(self) -> str | None:
        """Why it does not settle; None while it does."""
        if self._failure is not None:
            return f"the database does not settle: {self._failure}"
        if self._unanswered:
            return f"the database does not settle: {_no_answer_since(min(self._unanswered.values()))}"
        return None

    @contextmanager
    def waiting(self) -> Iterator[Wait]:
        """Somebody wants something settled, in one attempt or more, for as long as the context lasts.

        Once there was no answer for too long, there is none until this is settled: what others hear meanwhile
        says nothing about it.

        Yields:
            What to tell of each attempt.
        """
        wait = Wait(self, self._unanswered_s)
        try:
            yield wait
        except asyncio.CancelledError:
            # Who gives up has not had an answer either.
            if wait in self._unanswered and self._failure is None:
                self._failure = _no_answer_since(self._unanswered[wait])
            raise
        finally:
            self._unanswered.pop(wait, None)
            self._over_if_all_is_well()

    def lost(self, error: BaseException, *, since: float | None = None, unexpected: bool = False) -> None:
        """Note a failed attempt.

        Args:
            error: what was raised.
            since: when the attempt began, by the clock of the loop; now where None.
            unexpected: whether it is a bug, whose whereabouts are logged, too.
        """
        # One that began while it was away says nothing about a database that is back: others know better.
        if since is not None and since < self._back_at:
            return
        self._failure = first_line(error)
        if self._begins():
            cause = error.__cause__ or error
            log.error(
                "the database does not settle, trying again",
                error=type(cause).__name__,
                error_text=first_line(error),
                exc_info=error if unexpected else None,
            )

    def answered(self) -> None:
        """Note a success."""
        self._failure = None
        self._over_if_all_is_well()

    def unanswered(self, wait: Wait, since: float) -> None:
        """Note an attempt without an answer.

        Args:
            wait: whose.
            since: when it began, by the clock of the loop.
        """
        self._unanswered.setdefault(wait, since)
        if self._begins():
            log.error("the database does not settle, waiting for it", error_text=_no_answer_since(since))

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

    def _begins(self) -> bool:
        if self._is_lost.is_set():
            return False
        self._lost_at = asyncio.get_running_loop().time()
        self._is_lost.set()
        return True

    def _over_if_all_is_well(self) -> None:
        if self._is_lost.is_set() and self.trouble is None:
            self._is_lost.clear()
            self._back_at = asyncio.get_running_loop().time()
            log.info("the database settles again")


class Wait:
    """Of somebody who wants something settled."""

    def __init__(self, database: DatabaseState, unanswered_s: float) -> None:
        self._database = database
        self._unanswered_s = unanswered_s

    def attempt(self) -> Deadline:
        """One attempt, for as long as the context lasts."""
        return Deadline(self._unanswered_s, lambda since: self._database.unanswered(self, since))


def _no_answer_since(since: float) -> str:
    return f"it has given no answer for {asyncio.get_running_loop().time() - since:.0f} s"
