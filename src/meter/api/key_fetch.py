"""One fetch of an issuer's keys: from a given address, or from where the issuer's discovery document says."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Self

import httpx

from meter.api.key_sets import KeySet, read_key_set
from meter.errors import MeterError

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import TracebackType

#: Seconds for a whole fetch: requests wait for it where a key is not known.
FETCH_TIMEOUT_S = 5.0
#: Far more than any issuer's document has.
DOCUMENT_MAX_BYTES = 1024 * 1024

_WELL_KNOWN = "/.well-known/openid-configuration"


class NotFetched(MeterError):
    """The issuer did not answer as it should; the message says what it did."""

    retryable = True


class KeyFetch:
    """Fetches the keys of an issuer; use it as an async context.

    Args:
        issuer: its name, which is its address where the keys are to be discovered.
        jwks_url: where the keys are; None: discovered.
        algorithms: what may sign a token.
    """

    def __init__(self, issuer: str, jwks_url: str | None, algorithms: Collection[str]) -> None:
        self._issuer = issuer
        self._given_url = jwks_url
        self._algorithms = algorithms
        self._discovered_url: str | None = None
        self._seen: bytes | None = None
        # Redirects are not followed: keys come from where the operator or the issuer says, or not at all.
        self._http = httpx.AsyncClient(timeout=FETCH_TIMEOUT_S, follow_redirects=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def keys(self) -> KeySet | None:
        """Fetch the keys.

        Returns:
            None where they are the same as the last time.

        Raises:
            NotFetched: the issuer is away, or its answer is not what it should be.
            KeySetRefused: what it answered holds no key that can be used.
        """
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                document = await self._get(self._given_url or await self._discover())
        except TimeoutError:
            raise NotFetched(f"the issuer did not answer within {FETCH_TIMEOUT_S:g} s") from None
        except NotFetched:
            # They may have moved.
            self._discovered_url = None
            raise
        if document == self._seen:
            return None
        keys = read_key_set(document, self._algorithms)
        self._seen = document
        return keys

    async def _discover(self) -> str:
        if self._discovered_url is not None:
            return self._discovered_url
        address = self._issuer.rstrip("/") + _WELL_KNOWN
        try:
            described = json.loads(await self._get(address))
            issuer, jwks_url = described["issuer"], described["jwks_uri"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise NotFetched(f"{address} is no discovery document") from None
        if issuer != self._issuer:
            raise NotFetched(f"{address} is of another issuer; METER_TOKEN_ISSUER must be exactly as it says")
        if not isinstance(jwks_url, str) or _is_less_safe(jwks_url, than=self._issuer):
            raise NotFetched(f"{address} names no address of keys that can be trusted")
        self._discovered_url = jwks_url
        return jwks_url

    async def _get(self, address: str) -> bytes:
        received = bytearray()
        try:
            async with self._http.stream("GET", address) as response:
                if response.status_code != httpx.codes.OK:
                    raise NotFetched(f"{address} answered {response.status_code}")
                async for chunk in response.aiter_bytes():
                    received += chunk
                    if len(received) > DOCUMENT_MAX_BYTES:
                        raise NotFetched(f"{address} answered more than {DOCUMENT_MAX_BYTES} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise NotFetched(f"{address} does not answer ({type(error).__name__})") from error
        return bytes(received)


def _is_less_safe(url: str, *, than: str) -> bool:
    """Keys of an issuer that is spoken to over TLS do not come without it."""
    return not url.startswith("https://") and (than.startswith("https://") or not url.startswith("http://"))
