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
        #: Done, but something below is not: runs of tags, the last by the first.
        self._above: dict[int, int] = {}

    @property
    def waiting(self) -> int:
        """How many deliveries are done and wait for one below them."""
        return sum(last - first + 1 for first, last in self._above.items())

    def done(self, first: int, last: int) -> None:
        """Note that deliveries need nothing more; a delivery is noted once.

        Args:
            first: delivery tag of the first.
            last: that of the last; all between them are done, too.
        """
        self._above[first] = last
        while (reached := self._above.pop(self._reached + 1, None)) is not None:
            self._reached = reached

    def take(self) -> int | None:
        """Take the tag to acknowledge with ``multiple`` now.

        Returns:
            The watermark, or None where it has not risen since it was taken last.
        """
        if self._reached == self._acked:
            return None
        self._acked = self._reached
        return self._acked
