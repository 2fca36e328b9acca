"""The spool between ``record`` and the broker: an accepted event is in a file until it is confirmed.

The same doors as the buffer in memory has. Any thread adds; one event loop takes, confirms and gives back. In
memory is only what is on its way, so the buffer has no bound of its own.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from meter.publisher.outbox import Awaited, Counters, Message, Refused
from meter.publisher.spool.adoption import LOOK_SECONDS, Adoption
from meter.publisher.spool.framing import framed
from meter.publisher.spool.on_way import OnWay
from meter.publisher.spool.tally import Tally
from meter.publisher.spool.waiting import Waiting
from meter.publisher.spool.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from meter.publisher.spool.segment import Segment
    from meter.publisher.spool_settings import FsyncPolicy


class SpoolOutbox:
    """Accepted events, in files, until the broker has confirmed them."""

    def __init__(
        self, folder: Path, *, max_bytes: int, policy: FsyncPolicy, wake: Callable[[], None]
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._wake = wake
        self._own: deque[Segment] = deque()
        self._writer = Writer(folder, max_bytes=max_bytes, policy=policy, segments=self._own, lock=self._lock)
        self._adoption = Adoption(folder)
        self._adopted_next = False
        self._on_way = OnWay()
        self._closed = self._ended = False
        self._tally = Tally()
        self._waiting = Waiting(self._tally)
        self._trouble: OSError | None = None

    def wake_by(self, wake: Callable[[], None]) -> None:
        """Name anew who is told that there is something to send; ``wake`` is called from any thread."""
        self._wake = wake

    def call_again(self) -> None:
        """Call ``wake`` at the next event, because nobody came this time."""
        with self._lock:
            self._waiting.awaited = Awaited.FIRST

    def add(self, org_id: str, event: bytes) -> Refused | None:
        """Accept an encoded event, from any thread; None when it was accepted: it is in a file."""
        frame = framed(org_id, event)
        with self._lock:
            if self._closed:
                return Refused.CLOSED
            try:
                self._writer.append(frame)
            except OSError as failure:
                self._tally.refused += 1
                self._trouble = failure
                return Refused.SPOOL
            self._tally.recorded += 1
            self._tally.recorded_bytes += len(event)
            wake = self._waiting.ends_with_event()
        if wake:
            self._wake()
        return None

    def take(self) -> Message | float:
        """Take the next message to send, of our own events and of adopted ones by turns.

        Returns:
            A message; or in how many seconds to ask again, and ``wake`` is called when there is one earlier.
        """
        with self._lock:
            self._waiting.awaited = Awaited.NOTHING
            if self._ended:
                return LOOK_SECONDS
            if (again := self._on_way.again()) is not None:
                return again
        if self._adoption.seconds_to_look() <= 0:
            size = self._adoption.look()
            with self._lock:
                self._writer.seen(size)
        self._adopted_next = not self._adopted_next
        first, second = self._take_own, self._take_adopted
        if self._adopted_next:
            first, second = second, first
        message = first() or second()
        if message is not None:
            return message
        with self._lock:
            return self._waiting.sleep(self._adoption.seconds_to_look())

    def confirm(self, message: Message) -> None:
        """Forget a message that the broker has confirmed; with its last one a segment goes."""
        with self._lock:
            taken = self._on_way.confirm(message)
            segment = taken.segment
            self._tally.count_confirmed(message.events, own=taken.last is not None)
            self._writer.retire(segment)
        self._remove_if_finished(segment)

    def give_back(self, message: Message) -> None:
        """Put a message whose fate is unknown first in line again."""
        with self._lock:
            self._tally.retried += len(message.events)
            self._on_way.give_back(message)

    def give_all_back(self) -> None:
        """Whoever took messages is gone without a word: all of them are to be sent again."""
        with self._lock:
            self._on_way.give_all_back()

    def note_retry(self, message: Message, *, returned: bool) -> None:
        """Count a message that the broker did not take and that is about to be sent once more."""
        with self._lock:
            self._tally.retried += len(message.events)
            if returned:
                self._tally.returned += len(message.events)

    def seal(self) -> int:
        """Let nothing wait for company any longer; returns the number of the last event there is."""
        with self._lock:
            last = self._tally.recorded
            wake = self._waiting.hurry()
        if wake:
            self._wake()
        return last

    def left_through(self, sequence: int) -> int:
        """How many of our own events up to this number are not confirmed."""
        with self._lock:
            return max(0, sequence - self._tally.taken) + self._on_way.own_through(sequence)

    def close(self) -> None:
        """Accept nothing more."""
        with self._lock:
            self._closed = True

    def end(self) -> None:
        """Let go of every file: what is not confirmed is for whoever adopts it."""
        self.close()
        self._writer.stop_syncing()
        with self._lock:
            self._writer.seal()
            self._ended = True
            held = {*self._own, *self._adoption.unread, *self._on_way.segments()}
        for segment in held:
            self._remove_if_finished(segment)
            if not segment.gone:
                segment.gone = True
                segment.release()

    @property
    def is_closed(self) -> bool:
        """Whether ``add`` refuses everything."""
        return self._closed

    @property
    def has_room(self) -> bool:
        """Whether half of the bound is free."""
        with self._lock:
            return 2 * self._writer.held_bytes <= self._max_bytes

    @property
    def counters(self) -> Counters:
        """A snapshot, consistent in itself."""
        with self._lock:
            return self._tally.counters()

    @property
    def trouble(self) -> str:
        """Why events were refused last, for people."""
        return f"the spool {self._folder} cannot be written: {self._trouble}"

    def _take_own(self) -> Message | None:
        read: list[Segment] = []
        with self._lock:
            while self._own and self._own[0].sealed and self._own[0].is_read:
                segment = self._own.popleft()
                self._tally.count_lost(segment.events - segment.taken)
                read.append(segment)
            is_due = self._tally.unread > 0 and self._waiting.seconds_to_linger() <= 0
            due, size = (self._own[0], self._own[0].size) if is_due and self._own else (None, 0)
        for segment in read:
            self._remove_if_finished(segment)
        return None if due is None or size <= due.read_to else self._read(due, size, own=True)

    def _take_adopted(self) -> Message | None:
        while self._adoption.unread:
            segment = self._adoption.unread[0]
            message = self._read(segment, segment.size, own=False)
            if segment.is_read:
                self._adoption.unread.popleft()
                self._remove_if_finished(segment)
            if message is not None:
                return message
        return None

    def _read(self, segment: Segment, size: int, *, own: bool) -> Message | None:
        found = segment.read(size)
        with self._lock:
            if found.damage is not None:
                self._tally.count_damage(found.damage, first=segment.damage is None)
                segment.note_damage(found)
                if own:
                    self._writer.forget(segment)
            segment.read_to += found.consumed
            segment.taken += len(found.events)
            self._tally.count_taken(len(found.events), own=own)
            if not found.events:
                return None
            self._waiting.began_anew()
            return self._on_way.put(segment, found, self._tally.taken if own else None)

    def _remove_if_finished(self, segment: Segment) -> None:
        with self._lock:
            if segment.gone or not segment.is_finished:
                return
            segment.gone = True
            if segment.events:
                self._writer.removed(segment)
        try:
            segment.remove()
        except OSError as failure:
            self._adoption.leave_alone(segment.path, failure)
