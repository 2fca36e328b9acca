"""How many requests a caller may make in a minute, counted here or in a Redis that all processes share."""

from __future__ import annotations

import math
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limits.errors import StorageError
from prometheus_client import Counter

from meter.api.rate_counters import own_counters, redis_counters
from meter.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from limits.aio.storage import Storage
    from prometheus_client import CollectorRegistry

log = get_logger(__name__)

#: The window of all limits, in seconds.
WINDOW_S = 60
#: Seconds for which a Redis that failed is not asked again: nobody waits for it meanwhile.
REDIS_REST_S = 1.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where someone stands with a limit."""

    #: Whether one more was allowed.
    allowed: bool
    limit: int
    remaining: int
    #: Seconds until the minute is over, rounded up.
    reset_s: int


class RateLimits:
    """Counts per minute; a minute begins with the first request in it, for each caller apart.

    Fails open: while the counters cannot be reached everything is allowed, and counted.

    Args:
        counters: where it is counted.
        registry: where the metrics are shown.
    """

    def __init__(self, counters: Storage, registry: CollectorRegistry) -> None:
        self._counters = counters
        self._rests_until = float("-inf")
        self._unchecked = Counter(
            "meter_rate_limit_unchecked_total",
            "Requests let through because the shared counters could not be reached.",
            registry=registry,
        )
        self._refused = Counter(
            "meter_rate_limited_total", "Requests refused by a limit.", ["limit"], registry=registry
        )

    async def spend(self, kind: str, limit: int, who: str) -> Standing | None:
        """Count one more, where there is room for it.

        Args:
            kind: what is counted.
            limit: how many a minute.
            who: for whom.

        Returns:
            Where that leaves them; None where the counters cannot be reached.
        """
        if time.monotonic() < self._rests_until:
            self._unchecked.inc()
            return None
        # The library's fixed window, without reading back what counting has just told.
        key = f"meter/{kind}/{limit}/{who}"
        try:
            count = await self._counters.incr(key, WINDOW_S)
            ends_at = await self._counters.get_expiry(key)
        except StorageError as error:
            self._rests_until = time.monotonic() + REDIS_REST_S
            self._unchecked.inc()
            log.warning("limits are not counted", reason=type(error.storage_error).__name__)
            return None
        if count > limit:
            self._refused.labels(kind).inc()
        reset_s = max(1, min(WINDOW_S, math.ceil(ends_at - time.time())))
        return Standing(count <= limit, limit, max(0, limit - count), reset_s)


@asynccontextmanager
async def rate_limits(redis_url: str | None, registry: CollectorRegistry) -> AsyncIterator[RateLimits]:
    """Count while the block runs.

    Args:
        redis_url: where all processes count together; None: this one for itself.
        registry: where the metrics are shown.

    Raises:
        ConfigurationError: the client of Redis is not installed.
    """
    if redis_url is None:
        yield RateLimits(own_counters(), registry)
        return
    async with redis_counters(redis_url) as counters:
        yield RateLimits(counters, registry)
