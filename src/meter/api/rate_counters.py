"""Where limits are counted: in this process, or in Redis."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from limits.aio.storage import MemoryStorage, RedisStorage, Storage

from meter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

#: Seconds that an answer of Redis is waited for: it takes a millisecond, and every request waits.
REDIS_TIMEOUT_S = 0.25
#: Seconds between looks for counters that are over.
_SWEEP_S = 5.0


class _OwnCounters(MemoryStorage):
    """The library's, but for how often it looks for what is over: it does so at every request."""

    def __init__(self) -> None:
        super().__init__()
        self._swept_at = time.monotonic()

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        now = time.time()
        self._sweep(now)
        if self.expirations.get(key, 0.0) <= now:
            self.storage[key] = 0
            self.expirations[key] = now + expiry
        self.storage[key] += amount
        return self.storage[key]

    def _sweep(self, now: float) -> None:
        if time.monotonic() - self._swept_at < _SWEEP_S:
            return
        self._swept_at = time.monotonic()
        for key in [key for key, ends in self.expirations.items() if ends <= now]:
            del self.expirations[key]
            self.storage.pop(key, None)


def own_counters() -> Storage:
    """Count in this process."""
    return _OwnCounters()


@asynccontextmanager
async def redis_counters(url: str) -> AsyncIterator[Storage]:
    """Count in Redis while the block runs; it may be away, at the start too.

    Args:
        url: ``redis://`` or ``rediss://``.

    Raises:
        ConfigurationError: its client is not installed.
    """
    try:
        from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415 - an extra that few need
        from redis.asyncio.retry import Retry  # noqa: PLC0415 - as above
        from redis.backoff import NoBackoff  # noqa: PLC0415 - as above
        from redis.exceptions import ConnectionError  # noqa: PLC0415, A004 - as above
    except ImportError:
        raise ConfigurationError(
            "METER_REDIS_URL needs the client of Redis; install it with: pip install 'meter[redis]'"
        ) from None
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=16,
        timeout=REDIS_TIMEOUT_S,
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        # A connection that Redis closed while nobody used it is worth one more attempt, nothing else is.
        retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
    )
    try:
        yield RedisStorage(
            f"async+{url}",
            wrap_exceptions=True,
            implementation="redispy",
            # Documented, and missing in its annotation.
            connection_pool=pool,  # type: ignore[arg-type]
        )
    finally:
        await pool.disconnect()
