"""The bounded buffer between ``record`` and the broker: every accepted event is here until it is confirmed.

Any thread adds; one event loop takes, confirms and gives back. Nothing here waits: who wants to wait is told
by ``wake`` that there is something to do, at most twice per message however many events it carries.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from meter.events import MESSAGE_MAX_BYTES, MESSAGE_MAX_EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable

#: How long an event waits for company, in seconds: in a balance it still shows at once, and a busy service
#: fills a message long before.
LINGER_SECONDS = 0.05
#: The two brackets around the array of a batch.
_BRACKETS_BYTES = 2


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """A sealed batch of encoded events, sent and confirmed as one."""

    sequence: int
    routing_key: str
    events: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Counters:
    """What became of the events so far; ``recorded == confirmed + buffered``, but for damage to a spool."""

    recorded: int  #: accepted by ``record``
    confirmed: int  #: written by the broker to every queue they belong to
    buffered: int  #: accepted and not yet confirmed
    buffered_bytes: int  #: the encoded size of those
    dropped: int  #: refused because the buffer, or the spool, took no more; the only way to lose an event
    retried: int  #: sent once more, each time counted
    returned: int  #: sent back by a broker that had no queue for them, each time counted
    spooled: int = 0  #: accepted into the spool: with one, all that were recorded
    spool_refused: int = 0  #: refused because the spool was full or could not be written
    spool_adopted: int = 0  #: events of publishers that are gone, taken over; not among ``recorded``
    spool_adopted_confirmed: int = 0  #: of those, confirmed by the broker
    spool_torn: int = 0  #: spool files that ended within an event that was never accepted
    spool_corrupt: int = 0  #: damaged spool files, set aside after what is whole in them was sent


class Refused(Enum):
    """Why an event was not accepted."""

    FULL = auto()
    SPOOL = auto()
    CLOSED = auto()


class Awaited(Enum):
    """What the sender sleeps for."""

    NOTHING = auto()  # it is awake
    FIRST = auto()  # any event at all
    SEALED = auto()  # a full message; the linger is running


class Outbox:
    """Accepted events, in messages, until the broker has confirmed them."""

    def __init__(self, *, max_events: int, max_bytes: int, wake: Callable[[], None]) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._wake = wake
        self._awaited = Awaited.FIRST
        self._open: list[bytes] = []
        self._open_left = 0  # events until the open message is full; 0 while there is none
        self._open_bytes = 0
        self._open_key = ""
        self._opened_at = 0.0
        self._sealed: deque[Message] = deque()
        self._unconfirmed: dict[int, Message] = {}
        self._sequence = 0
        self._closed = False
        self._free_events = max_events
        self._free_bytes = max_bytes
        self._confirmed = self._dropped = self._retried = self._returned = 0

    def wake_by(self, wake: Callable[[], None]) -> None:
        """Name anew who is told that there is something to send; ``wake`` is called from any thread."""
        self._wake = wake

    def call_again(self) -> None:
        """Call ``wake`` at the next message, because nobody came this time."""
        with self._lock:
            self._awaited = Awaited.FIRST

    def add(self, org_id: str, event: bytes) -> Refused | None:
        """Accept an encoded event, from any thread; None when it was accepted."""
        size = len(event)
        wake = False
        with self._lock:
            if self._closed:
                return Refused.CLOSED
            if not self._free_events or self._free_bytes < size:
                self._dropped += 1
                return Refused.FULL
            open_bytes = self._open_bytes + size + 1
            if not self._open_left or open_bytes > MESSAGE_MAX_BYTES:
                wake = self._begin_message(org_id)
                open_bytes = _BRACKETS_BYTES + size
            self._open.append(event)
            self._open_bytes = open_bytes
            self._open_left -= 1
            self._free_events -= 1
            self._free_bytes -= size
            if not self._open_left:
                wake = self._seal() or wake
        if wake:
            self._wake()
        return None

    def take(self) -> Message | float | None:
        """Take the next message to send.

        Returns:
            A message; or for how many seconds the open one may still wait for company; or None while there is
            nothing at all. In the last two cases ``wake`` is called as soon as that changes.
        """
        with self._lock:
            self._awaited = Awaited.NOTHING
            if not self._sealed and self._open_left:
                remaining = self._opened_at + LINGER_SECONDS - time.monotonic()
                if remaining > 0:
                    self._awaited = Awaited.SEALED
                    return remaining
                self._seal()
            if self._sealed:
                return self._sealed.popleft()
            self._awaited = Awaited.FIRST
            return None

    def confirm(self, message: Message) -> None:
        """Forget a message that the broker has confirmed."""
        with self._lock:
            del self._unconfirmed[message.sequence]
            self._confirmed += len(message.events)
            self._free_events += len(message.events)
            self._free_bytes += sum(map(len, message.events))

    def give_back(self, message: Message) -> None:
        """Put a message whose fate is unknown first in line again."""
        with self._lock:
            self._retried += len(message.events)
            self._sealed.appendleft(message)

    def give_all_back(self) -> None:
        """Whoever took messages is gone without a word: all of them are to be sent again."""
        with self._lock:
            self._sealed = deque(message for _, message in sorted(self._unconfirmed.items()))

    def note_retry(self, message: Message, *, returned: bool) -> None:
        """Count a message that the broker did not take and that is about to be sent once more."""
        with self._lock:
            self._retried += len(message.events)
            if returned:
                self._returned += len(message.events)

    def seal(self) -> int:
        """Let nothing wait for company any longer; returns the sequence of the last message there is."""
        with self._lock:
            wake = self._seal() if self._open_left else False
            last = self._sequence
        if wake:
            self._wake()
        return last

    def close(self) -> None:
        """Accept nothing more."""
        with self._lock:
            self._closed = True

    def end(self) -> None:
        """Let go of what is not confirmed; nothing to do in memory."""

    @property
    def trouble(self) -> str:
        """Why events were refused last, for people."""
        return "the buffer is full"

    @property
    def is_closed(self) -> bool:
        """Whether ``add`` refuses everything."""
        return self._closed

    def left_through(self, sequence: int) -> int:
        """How many events of the messages up to ``sequence`` are not confirmed."""
        with self._lock:
            return sum(len(message.events) for key, message in self._unconfirmed.items() if key <= sequence)

    @property
    def has_room(self) -> bool:
        """Whether half of the bounds is free: who waits for room should not be woken for one event."""
        with self._lock:
            return 2 * self._free_events >= self._max_events and 2 * self._free_bytes >= self._max_bytes

    @property
    def counters(self) -> Counters:
        """A snapshot, consistent in itself."""
        with self._lock:
            buffered = self._max_events - self._free_events
            return Counters(
                recorded=self._confirmed + buffered,
                confirmed=self._confirmed,
                buffered=buffered,
                buffered_bytes=self._max_bytes - self._free_bytes,
                dropped=self._dropped,
                retried=self._retried,
                returned=self._returned,
            )

    def _begin_message(self, org_id: str) -> bool:
        wake = self._seal() if self._open_left else False
        self._open_key = org_id
        self._open_left = MESSAGE_MAX_EVENTS
        self._opened_at = time.monotonic()
        return self._wakes(Awaited.FIRST) or wake

    def _seal(self) -> bool:
        self._sequence += 1
        message = Message(self._sequence, self._open_key, tuple(self._open))
        self._sealed.append(message)
        self._unconfirmed[self._sequence] = message
        self._open = []
        self._open_left = 0
        self._open_bytes = 0
        return self._wakes(Awaited.FIRST, Awaited.SEALED)

    def _wakes(self, *events: Awaited) -> bool:
        if self._awaited not in events:
            return False
        self._awaited = Awaited.NOTHING
        return True
