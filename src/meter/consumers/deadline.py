"""Noticing that an answer is overdue while it is waited for all the same."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

#: A timer that comes so late says that it was this process that did nothing.
_STOOD_STILL_S = 1.0


class Deadline:
    """Tells somebody once when its context lasts too long."""

    def __init__(self, seconds: float, overdue: Callable[[float], object]) -> None:
        """Prepare; the time begins with the context.

        Args:
            seconds: how long it may last.
            overdue: called when it lasts longer, with the moment it began by the clock of the loop.
        """
        self._seconds = seconds
        self._overdue = overdue
        self._loop = asyncio.get_running_loop()
        #: When it began, by the clock of the loop.
        self.since = 0.0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        """Begin."""
        self.begin_anew()
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is waited for any more."""
        if self._timer is not None:
            self._timer.cancel()

    def begin_anew(self) -> None:
        """What went by so far does not count."""
        if self._timer is not None:
            self._timer.cancel()
        self.since = self._loop.time()
        self._look_later()

    def _look_later(self) -> None:
        self._due = self._loop.time() + self._seconds
        self._timer = self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        # Late itself, this process stood still, and an answer may be here that is yet to be read.
        if self._loop.time() - self._due >= _STOOD_STILL_S:
            self._look_later()
        else:
            self._overdue(self.since)
