"""The usage of the fault suite: all about an event follows from its id, so a verdict needs nothing else.

An id is a UUIDv7 whose first random nibble names the service that recorded it. The organization, the user and
the credits follow from the random rest, the time from the id's own.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

#: Organizations by how many of a hundred events are theirs. What each stands for is set up in ``books``.
SHARES = {"acme": 34, "globex": 25, "initech": 20, "short": 9, "over": 7, "desk": 4, "ghost": 1}
#: Unknown to the database: its events are dead letters.
UNKNOWN = "ghost"
KNOWN = tuple(org_id for org_id in SHARES if org_id != UNKNOWN)
USERS = 40
MAX_CREDITS = 9

_BY_SHARE = [org_id for org_id, share in SHARES.items() for _ in range(share)]
_VERSION_AND_VARIANT = 7 << 76 | 2 << 62
_REST_BITS = 62


@dataclass(frozen=True, slots=True)
class Usage:
    """One event, as ``record`` takes it."""

    id: str
    org_id: str
    user_id: str
    credits: int
    time: datetime


def new_key(service: int) -> UUID:
    """A new id for an event of a service (0 to 15) that happens now."""
    return _key(time.time_ns() // 1_000_000, service, secrets.randbits(8), secrets.randbits(_REST_BITS))


def first_key(milliseconds: int) -> UUID:
    """The lowest id of a moment, in milliseconds since 1970."""
    return _key(milliseconds, 0, 0, 0)


def usage_of(key: UUID) -> Usage:
    """The event with an id, the same one each time."""
    rest = _rest(key)
    return Usage(
        id=str(key),
        org_id=org_of(key),
        user_id=f"user-{rest // 1_000 % USERS}",
        credits=credits_of(key),
        time=datetime.fromtimestamp((key.int >> 80) / 1_000, UTC),
    )


def org_of(key: UUID) -> str:
    """The organization an event belongs to."""
    return _BY_SHARE[_rest(key) % 100]


def credits_of(key: UUID) -> int:
    """What an event costs."""
    return 1 + _rest(key) // 100_000 % MAX_CREDITS


def service_of(key: UUID) -> int:
    """The service that recorded an event."""
    return key.int >> 72 & 0xF


def _key(milliseconds: int, service: int, few: int, rest: int) -> UUID:
    return UUID(int=milliseconds << 80 | service << 72 | few << 64 | _VERSION_AND_VARIANT | rest)


def _rest(key: UUID) -> int:
    return key.int & (1 << _REST_BITS) - 1
