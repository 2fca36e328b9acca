"""A dead letter as it lies in ``meter.dead``, and which of them an operator means."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from meter.events.fields import ORG_ID_MAX_CHARS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiormq.abc import DeliveredMessage

#: Enough of the digest to tell a million letters apart.
_ID_CHARS = 16


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """A dead letter; what its headers do not say, or say in a way that makes no sense, is None.

    Attributes:
        id: the first hexadecimal digits of the body's SHA-256; copies of a letter share it.
        tag: of its delivery to us.
        body: the exact bytes.
        content_type: with which the body is replayed.
        reason: the code.
        sentence: the reason for people.
        first_seen: when meter first had it.
        attempts: how often it had been delivered.
        origin_queue: where it came from.
        org_id: the organization.
        event_id: the event.
        part: ``message`` as it came, or ``element`` of its array.
        original_content_type: of the message it came in.
    """

    id: str
    tag: int
    body: bytes
    content_type: str | None
    reason: str | None
    sentence: str | None
    first_seen: datetime | None
    attempts: int | None
    origin_queue: str | None
    org_id: str | None
    event_id: str | None
    part: str | None
    original_content_type: str | None

    @property
    def body_sha256(self) -> bytes:
        """SHA-256 of the body."""
        return hashlib.sha256(self.body).digest()


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant: those that everything said here is true of.

    Attributes:
        ids: beginnings of ids; empty: any.
        reasons: codes; empty: any.
        org_id: the organization; None: any.
        since: first seen then or later.
        until: first seen before then.
    """

    ids: tuple[str, ...] = ()
    reasons: frozenset[str] = frozenset()
    org_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_everything(self) -> bool:
        """Whether every dead letter is meant."""
        return self == Selection()

    def has(self, letter: KeptLetter) -> bool:
        """Say whether a dead letter is meant.

        Args:
            letter: the letter; one that does not say when it was first seen is in no time span.
        """
        return (
            (not self.ids or letter.id.startswith(self.ids))
            and (not self.reasons or letter.reason in self.reasons)
            and (self.org_id is None or letter.org_id == self.org_id)
            and self._is_in_time(letter.first_seen)
        )

    def _is_in_time(self, seen: datetime | None) -> bool:
        if seen is None:
            return self.since is None and self.until is None
        return (self.since is None or self.since <= seen) and (self.until is None or seen < self.until)


def read_letter(message: DeliveredMessage) -> KeptLetter:
    """Read a message of ``meter.dead``, whoever put it there. Never raises.

    Args:
        message: as it was delivered.
    """
    properties = message.header.properties
    headers = cast("Mapping[str, object]", properties.headers or {})
    attempts = headers.get("meter-attempts")
    return KeptLetter(
        id=hashlib.sha256(message.body).hexdigest()[:_ID_CHARS],
        tag=message.delivery_tag or 0,
        body=message.body,
        content_type=properties.content_type,
        reason=_text(headers, "meter-reason"),
        sentence=_text(headers, "meter-sentence"),
        first_seen=_moment(_text(headers, "meter-first-seen")),
        attempts=attempts if isinstance(attempts, int) else None,
        origin_queue=_text(headers, "meter-origin-queue"),
        org_id=_text(headers, "meter-org-id", ORG_ID_MAX_CHARS),
        event_id=_text(headers, "meter-event-id"),
        part=_text(headers, "meter-part"),
        original_content_type=_text(headers, "meter-original-content-type"),
    )


def _text(headers: Mapping[str, object], name: str, most: int = 1_000) -> str | None:
    text = headers.get(name)
    return text if isinstance(text, str) and len(text) <= most and text.isprintable() else None


def _moment(text: str | None) -> datetime | None:
    try:
        moment = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
