"""What a message holds: events that can be settled, and a refusal for everything that cannot."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003 - msgspec reads the annotations
from dataclasses import dataclass

import msgspec

from meter.events.model import MESSAGE_MAX_EVENTS
from meter.events.reasons import RefusalReason  # noqa: TC001 - msgspec reads the annotations
from meter.events.splitting import split_batch
from meter.events.void import Event  # noqa: TC001 - msgspec reads the annotations


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that cannot be settled, and why.

    Attributes:
        reason: the stable code.
        sentence: which field is wrong and why, for people.
        original: the exact bytes of the message or of the one array element.
        org_id: the organization, where one can be read.
        event_id: the event's id, where one can be read.
        whole_message: whether `original` is the body of the message, with its content type, or an element.
    """

    reason: RefusalReason
    sentence: str
    original: bytes
    org_id: str | None = None
    event_id: str | None = None
    whole_message: bool = False


class Decoded(msgspec.Struct):
    """What a message holds.

    Attributes:
        events: the events that can be settled, in the order of the message.
        refusals: the elements that cannot, or one for the whole message.
        body: the bytes of the message.
        batch: whether the body is an array of events; else it is the one event.
        places: where each event stands in the array; None where nothing of it was refused.
    """

    events: Sequence[Event]
    refusals: Sequence[Refusal] = ()
    body: bytes = b""
    batch: bool = False
    places: Sequence[int] | None = None
    _elements: Sequence[bytes | msgspec.Raw] | None = None

    def original(self, index: int) -> bytes:
        """Cut out one event as it was published; only dead letters ask for it.

        Args:
            index: of the event in `events`.

        Returns:
            Its exact bytes.
        """
        if not self.batch:
            return self.body
        if self._elements is None:
            # Views into the body, kept: of a message nobody can settle every event is asked for.
            self._elements = split_batch(self.body, MESSAGE_MAX_EVENTS)
        return bytes(self._elements[index if self.places is None else self.places[index]])
