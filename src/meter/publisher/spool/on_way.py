"""Messages that were read from the spool and are not confirmed: all of an event's stay in memory."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meter.publisher.outbox import Message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meter.publisher.spool.framing import Scan
    from meter.publisher.spool.segment import Segment


@dataclass(frozen=True, slots=True)
class Taken:
    """A message on its way."""

    message: Message
    segment: Segment
    last: int | None  #: the number of its last event among our own; None when it was adopted


class OnWay:
    """The messages on their way, and those of them that are to be sent again."""

    def __init__(self) -> None:
        self._sequence = 0
        self._again: deque[Message] = deque()
        self._taken: dict[int, Taken] = {}

    def put(self, segment: Segment, found: Scan, last: int | None) -> Message:
        """Make a message of what was read."""
        segment.unconfirmed += len(found.events)
        self._sequence += 1
        message = Message(self._sequence, found.routing_key, found.events)
        self._taken[message.sequence] = Taken(message, segment, last)
        return message

    def confirm(self, message: Message) -> Taken:
        """Forget a message."""
        taken = self._taken.pop(message.sequence)
        taken.segment.unconfirmed -= len(message.events)
        return taken

    def again(self) -> Message | None:
        """Take the next message that is to be sent once more."""
        return self._again.popleft() if self._again else None

    def give_back(self, message: Message) -> None:
        """Send a message once more, before all others."""
        self._again.appendleft(message)

    def give_all_back(self) -> None:
        """Send every message once more, the oldest first."""
        self._again = deque(taken.message for _, taken in sorted(self._taken.items()))

    def own_through(self, number: int) -> int:
        """How many of our own events up to this number are on their way."""
        return sum(
            max(0, len(taken.message.events) - max(0, taken.last - number))
            for taken in self._taken.values()
            if taken.last is not None
        )

    def segments(self) -> Iterator[Segment]:
        """The segments they came from, some more than once."""
        return (taken.segment for taken in self._taken.values())
