"""How long to wait before the next attempt."""

from __future__ import annotations

import random

#: The first wait is at most this long, in seconds: a broker that only restarted a channel is back at once.
FIRST_SECONDS = 0.1
#: No wait is longer, in seconds: after an outage usage flows again within so long.
LONGEST_SECONDS = 5.0


class Backoff:
    """Waits that double and are spread at random, so that many services do not come back in one moment."""

    def __init__(self, first: float = FIRST_SECONDS, longest: float = LONGEST_SECONDS) -> None:
        self._first = first
        self._longest = longest
        self._attempts = 0

    def next_seconds(self) -> float:
        """The wait before the next attempt, in seconds: between half of the ceiling and the ceiling."""
        ceiling = min(self._longest, self._first * 2.0 ** min(self._attempts, 32))
        self._attempts += 1
        return ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing

    def reset(self) -> None:
        """Begin anew after a success."""
        self._attempts = 0
