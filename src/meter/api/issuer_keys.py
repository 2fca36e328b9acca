"""The issuer's public keys from the issuer itself: kept current, and held on to while it is away."""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from meter.api.key_fetch import NotFetched
from meter.api.key_sets import KeySet, KeySetRefused, chosen_key
from meter.errors import MeterError
from meter.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import jwt

    from meter.api.key_fetch import KeyFetch

log = get_logger(__name__)

#: Seconds after which keys are fetched again though all tokens name known ones: a key that the issuer takes
#: back is out by then.
MAX_AGE_S = 300.0
#: Seconds between attempts while the issuer is away.
RETRY_S = 5.0
#: Fetches that unknown key ids may cause at once, and seconds until there may be one more: strangers make up
#: key ids as they like.
UNKNOWN_BURST = 5
UNKNOWN_REFILL_S = 10.0
#: Seconds for which a fetch that failed speaks for the next ones: who comes then does not wait for an issuer
#: that hangs. Longer would keep people out who could sign in again.
FAILURE_HOLDS_S = 1.0
#: Requests that wait for a fetch at once, each with its connection, as long as the fetch may take. Further
#: ones are answered by the keys that are known: no number of made-up key ids fills the process.
WAITING_MAX = 100


class IssuerUnavailable(MeterError):
    """The issuer of tokens was not reached yet, so no token can be checked; try again in a few seconds."""

    retryable = True


class IssuerKeys:
    """The keys of an issuer over HTTP.

    Args:
        fetch: how they are fetched.
        max_age_s: seconds after which they are fetched again.
    """

    def __init__(self, fetch: KeyFetch, *, max_age_s: float = MAX_AGE_S) -> None:
        self._fetch = fetch
        self._max_age_s = max_age_s
        self._keys: KeySet = {}
        self._fetching = asyncio.Lock()
        self._begun = float("-inf")
        self._failed = float("-inf")
        self._waiting = 0
        self._unknown = _Allowance(UNKNOWN_BURST, UNKNOWN_REFILL_S)

    @asynccontextmanager
    async def kept_current(self) -> AsyncIterator[None]:
        """Fetch the keys, and again from time to time while the block runs; the issuer may be away."""
        fetched = await self._fetched()
        keeping = asyncio.create_task(self._keep_current(fetched=fetched), name="issuer keys")
        try:
            yield
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping

    def key(self, key_id: str | None) -> jwt.PyJWK:
        """Return the key of a token's ``kid``; the only one where the token names none.

        Raises:
            KeyNotKnown: there is no such key; one may be there after :meth:`renew`.
        """
        return chosen_key(self._keys, key_id)

    async def renew(self) -> None:
        """Fetch the keys because a token names one that is not known; at a bounded rate, whoever asks.

        One fetch is under way at a time, and all who asked meanwhile share how it ends.

        Raises:
            IssuerUnavailable: there is no key at all yet.
        """
        if self._waiting < WAITING_MAX and not self._failed_just_now():
            self._waiting += 1
            try:
                await self._fetched_since(time.monotonic())
            finally:
                self._waiting -= 1
        if not self._keys:
            raise IssuerUnavailable

    async def _fetched_since(self, asked: float) -> None:
        async with self._fetching:
            # Who waited for another's fetch that began later has keys as new as can be; where it failed, the
            # next would fail as well.
            if self._begun < asked and not self._failed_just_now() and self._unknown.take():
                await self._fetched()

    def _failed_just_now(self) -> bool:
        return time.monotonic() < self._failed + FAILURE_HOLDS_S

    async def _keep_current(self, *, fetched: bool) -> None:
        while True:
            await asyncio.sleep(self._max_age_s if fetched else min(RETRY_S, self._max_age_s))
            async with self._fetching:
                fetched = await self._fetched()

    async def _fetched(self) -> bool:
        self._begun = time.monotonic()
        try:
            keys = await self._fetch.keys()
        except (NotFetched, KeySetRefused) as error:
            # Half a deployment must not lock everyone out: good keys stay until there are better ones.
            log.warning("keys of the issuer not fetched", reason=str(error), keys=len(self._keys))
            self._failed = time.monotonic()
            return False
        if keys is not None:
            self._keys = keys
            log.info("keys of the issuer fetched", keys=len(keys))
        return True


class _Allowance:
    """So many at once, and one more every so many seconds."""

    def __init__(self, burst: int, refill_s: float) -> None:
        self._burst = burst
        self._refill_s = refill_s
        self._left = float(burst)
        self._at = time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) / self._refill_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
