"""A delivery as the worker sees it."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

#: Set by publishers: when the message was sent, in microseconds since 1970.
PUBLISHED_AT_HEADER = "meter-published-at"

_MICROSECONDS = 1_000_000


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """A message delivered once.

    Attributes:
        tag: its number on its channel.
        body: the message's bytes.
        content_type: as the publisher set it.
        attempts: how often it was delivered by now, this time included.
        published_us: when it was published, microseconds since 1970; None where the publisher did not say.
        received_at: when it came here, seconds since 1970.
    """

    tag: int
    body: bytes
    content_type: str | None
    attempts: int = 1
    published_us: int | None = None
    received_at: float = 0.0

    @property
    def first_seen(self) -> datetime:
        """The earliest moment known at which meter had the message."""
        seen = self.received_at
        if self.attempts > 1 and self.published_us is not None:
            seen = min(seen, self.published_us / _MICROSECONDS)
        return datetime.fromtimestamp(seen, UTC)
