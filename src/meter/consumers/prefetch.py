"""How many messages to hold unacknowledged, so that about so many events and bytes are held.

RabbitMQ counts messages and nothing else, while a message carries 1 to 1,000 events in up to 1 MiB. The count
is therefore worked out from what messages have carried lately, one window of messages after the other. It is
an aim only: what bounds memory when messages suddenly grow is ``Allowance`` (``allowance.py``).
"""

from __future__ import annotations

from meter.events.model import MESSAGE_MAX_BYTES

#: What is held before anything is known; with messages of the greatest size it is the default bound in bytes.
FIRST_PREFETCH = 64
#: The count travels as 16 bits.
PREFETCH_MAX = 65_535
#: Changing the count costs a cancel, a qos and a consume, so it is worth it from this factor on.
CHANGE_FACTOR = 2
#: Fewer messages than this say too little.
WINDOW_MIN_MESSAGES = 32


class Prefetch:
    """The prefetch count of one channel and when it should change; no I/O."""

    __slots__ = (
        "_bytes",
        "_events",
        "_max_bytes",
        "_max_events",
        "_mean_bytes",
        "_mean_events",
        "_messages",
        "count",
    )

    def __init__(self, max_events: int, max_bytes: int) -> None:
        """Begin low, knowing nothing.

        Args:
            max_events: about how many events to hold.
            max_bytes: about how many bytes of message bodies to hold.
        """
        self._max_events = max_events
        self._max_bytes = max_bytes
        #: The count in force.
        self.count = max(1, min(FIRST_PREFETCH, max_events, max_bytes // MESSAGE_MAX_BYTES))
        self._mean_events = 0.0
        self._mean_bytes = 0.0
        self._messages = self._events = self._bytes = 0

    def observe(self, messages: int, events: int, size: int) -> None:
        """Note messages.

        Args:
            messages: how many.
            events: how many events they carried; what cannot be read counts as one.
            size: their bodies, in bytes.
        """
        self._messages += messages
        self._events += max(messages, events)
        self._bytes += size

    def change(self) -> int | None:
        """Say whether the count should change now, and take it over if so.

        Returns:
            The new count; None where ``count`` is still right or there is too little to go by.
        """
        if not self._window_is_full():
            return None
        self._mean_events = _rise_at_once_fall_by_half(self._mean_events, self._events / self._messages)
        self._mean_bytes = _rise_at_once_fall_by_half(self._mean_bytes, self._bytes / self._messages)
        self._messages = self._events = self._bytes = 0
        aim = min(self._max_events / self._mean_events, self._max_bytes / max(1.0, self._mean_bytes))
        wanted = int(max(1.0, min(aim, PREFETCH_MAX)))
        if self.count // CHANGE_FACTOR < wanted < self.count * CHANGE_FACTOR:
            return None
        self.count = wanted
        return wanted

    def _window_is_full(self) -> bool:
        # Half of what is held is a fair sample; half of the bytes is reached first when messages have grown.
        if self._messages == 0:
            return False
        enough = max(WINDOW_MIN_MESSAGES, self.count // 2)
        return self._messages >= enough or self._bytes >= self._max_bytes // 2


def _rise_at_once_fall_by_half(mean: float, seen: float) -> float:
    # Believing in small messages too early fills the memory; in large ones too long only costs speed.
    return max(seen, (mean + seen) / 2)
