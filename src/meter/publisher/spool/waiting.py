"""When the sender is to be woken, and how long a few events wait for company; whoever asks holds the lock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from meter.events import MESSAGE_MAX_EVENTS
from meter.publisher.outbox import LINGER_SECONDS, Awaited

if TYPE_CHECKING:
    from meter.publisher.spool.tally import Tally


class Waiting:
    """What the sender sleeps for."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._opened_at = 0.0
        self._hurry_to = 0
        self.awaited = Awaited.FIRST

    def ends_with_event(self) -> bool:
        """Whether the event that was just recorded wakes the sender."""
        if self.awaited is Awaited.FIRST:
            self._opened_at = time.monotonic()
        elif self.awaited is Awaited.NOTHING or self._tally.unread < MESSAGE_MAX_EVENTS:
            return False
        self.awaited = Awaited.NOTHING
        return True

    def hurry(self) -> bool:
        """Let nothing that is recorded wait any longer; whether that wakes the sender."""
        self._hurry_to = self._tally.recorded
        wakes = self.awaited is not Awaited.NOTHING and self._tally.unread > 0
        if wakes:
            self.awaited = Awaited.NOTHING
        return wakes

    def began_anew(self) -> None:
        """What was there is taken; what comes now waits for company of its own."""
        self._opened_at = time.monotonic()

    def seconds_to_linger(self) -> float:
        """How long the unread events may still wait for company; 0 or less when they are due."""
        if self._tally.unread >= MESSAGE_MAX_EVENTS or self._tally.taken < self._hurry_to:
            return 0.0
        return self._opened_at + LINGER_SECONDS - time.monotonic()

    def sleep(self, seconds: float) -> float:
        """The sender sleeps, for so long at most; returns for how long."""
        if self._tally.unread:
            self.awaited = Awaited.SEALED
            seconds = min(seconds, self.seconds_to_linger())
        else:
            self.awaited = Awaited.FIRST
        return max(0.0, seconds)
