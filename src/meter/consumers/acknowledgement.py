"""Which delivery can be acknowledged: deliveries are done out of order, acknowledged in order."""

from __future__ import annotations


class Watermark:
    """The highest delivery tag up to which everything is done, on one channel.

    The broker numbers the deliveries of a channel 1, 2, 3, …; one ack with ``multiple`` up to the watermark
    stands for all of them and costs the broker a quarter of single acks. Tags mean nothing on another
    channel, so each channel has a watermark of its own, thrown away with it.
    """

    __slots__ = ("_above", "_acked", "_reached")

    def __init__(self) -> None:
        self._acked = 0
        self._reached = 0
        #: Done, but something below is not.
        self._above: set[int] = set()

    @property
    def waiting(self) -> int:
        """How many deliveries are done and wait for one below them."""
        return len(self._above)

    def done(self, tag: int) -> None:
        """Note that a delivery needs nothing more.

        Args:
            tag: its delivery tag; noting one twice changes nothing.
        """
        if tag <= self._reached:
            return
        self._above.add(tag)
        while self._reached + 1 in self._above:
            self._reached += 1
            self._above.remove(self._reached)

    def take(self) -> int | None:
        """Take the tag to acknowledge with ``multiple`` now.

        Returns:
            The watermark, or None where it has not risen since it was taken last.
        """
        if self._reached == self._acked:
            return None
        self._acked = self._reached
        return self._acked
