"""How often each caller may ask, and each client address may fail to sign in."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meter.api.callers import Service
from meter.api.problems import Kind, Problem
from meter.api.rate_limits import WINDOW_S
from meter.api.request_frame import add_response_headers

if TYPE_CHECKING:
    from starlette.types import Scope

    from meter.api.callers import Caller
    from meter.api.rate_limits import RateLimits, Standing

#: Methods that change nothing.
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
#: Whoever has an IPv6 address usually has all of its /64.
_IPV6_NETWORK_BITS = 64


@dataclass(frozen=True, slots=True)
class Allowances:
    """What everyone may do in a minute whose API key does not say."""

    reads: int = 100
    writes: int = 20
    failed_sign_ins: int = 30


class CallerLimits:
    """The limits of the API.

    Args:
        limits: where it is counted.
        allowances: how many.
    """

    def __init__(self, limits: RateLimits, allowances: Allowances) -> None:
        self._limits = limits
        self._allowances = allowances

    async def spend(self, caller: Caller, scope: Scope) -> None:
        """Count one request of a caller, and say on its response how many are left.

        Args:
            caller: who asks.
            scope: the request.

        Raises:
            Problem: too many requests.
        """
        kind = "reads" if scope["method"] in _READS else "writes"
        limit = self._of(caller, kind)
        who = f"key:{caller.key_id}" if isinstance(caller, Service) else f"user:{caller.user_id}"
        standing = await self._limits.spend(kind, limit, who)
        if standing is None:
            return
        add_response_headers(scope, _headers(kind, standing))
        if not standing.allowed:
            raise _too_many(f"{limit} {kind} a minute are allowed", standing)

    async def spend_failure(self, scope: Scope) -> None:
        """Count one failure to sign in of the address that a request came from.

        Raises:
            Problem: too many requests; whoever signs in well is still let in.
        """
        kind, limit = "failed-sign-ins", self._allowances.failed_sign_ins
        standing = await self._limits.spend(kind, limit, _network(scope))
        if standing is not None and not standing.allowed:
            add_response_headers(scope, _headers(kind, standing))
            raise _too_many(f"{limit} failures to sign in a minute are allowed", standing)

    def _of(self, caller: Caller, kind: str) -> int:
        own = None
        if isinstance(caller, Service):
            own = caller.reads_per_minute if kind == "reads" else caller.writes_per_minute
        return own or (self._allowances.reads if kind == "reads" else self._allowances.writes)


def _network(scope: Scope) -> str:
    client = scope.get("client")
    try:
        address = ipaddress.ip_address(client[0] if client else "")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        if mapped is not None:
            return str(mapped)
        return str(ipaddress.ip_network((address.packed, _IPV6_NETWORK_BITS), strict=False))
    return str(address)


def _headers(kind: str, standing: Standing) -> tuple[tuple[bytes, bytes], ...]:
    """The fields of the IETF's draft "RateLimit header fields for HTTP"."""
    return (
        (b"ratelimit-policy", f'"{kind}";q={standing.limit};w={WINDOW_S}'.encode()),
        (b"ratelimit", f'"{kind}";r={standing.remaining};t={standing.reset_s}'.encode()),
    )


def _too_many(allowed: str, standing: Standing) -> Problem:
    return Problem(
        Kind.TOO_MANY_REQUESTS,
        f"{allowed}; try again in {standing.reset_s} seconds",
        headers={"Retry-After": str(standing.reset_s)},
    )
