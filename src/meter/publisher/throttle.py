"""Loud, but not deafening: the same complaint is logged once in a while."""

from __future__ import annotations

import time

#: Seconds between two lines of the same complaint.
EVERY_SECONDS = 10.0


class Throttle:
    """Lets the first complaint pass and then one in every ``EVERY_SECONDS``."""

    def __init__(self, every_seconds: float = EVERY_SECONDS) -> None:
        self._every = every_seconds
        self._next = float("-inf")

    def lets_pass(self) -> bool:
        """Whether the complaint may be logged now; two threads at once may both pass, which is harmless."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._every
        return True
