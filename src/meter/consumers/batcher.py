"""Messages in, batches of decoded messages out."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meter.events import Decoded, decode_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from meter.consumers.deliveries import Delivery
    from meter.events import DecodedEvent

#: Events decoded before others get a turn: about 10 ms, so that heartbeats and answers are not held up.
_DECODE_SLICE_EVENTS = 250
_MS = 1_000


@dataclass(frozen=True, slots=True)
class Message:
    """A delivery and what it holds."""

    delivery: Delivery
    decoded: Decoded

    @property
    def weight(self) -> int:
        """What it counts towards a full batch: its events and refusals."""
        return len(self.decoded.events) + len(self.decoded.refusals)


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages that are settled in one transaction."""

    messages: tuple[Message, ...]

    def events(self) -> Iterator[DecodedEvent]:
        """Every event of the batch, in order."""
        return (event for message in self.messages for event in message.decoded.events)


@dataclass(slots=True)
class _Forming:
    """A batch on its way: its weight is kept beside it, for it grows by thousands of small messages."""

    messages: list[Message] = field(default_factory=list)
    weight: int = 0


class Batcher:
    """Collects deliveries and hands them out in batches.

    While nothing is being settled a batch goes out with whatever is there; else it waits, a little, to be
    filled. A message is never split over two batches. Messages are decoded only when a batch takes them, so
    at most one batch's worth of events exists beside those being settled; what waits here is bounded by the
    prefetch and by the allowance.
    """

    def __init__(self, max_events: int, max_wait_ms: int, decoded: Callable[[int, int], None]) -> None:
        """Begin empty.

        Args:
            max_events: events of a batch; one message with more makes a batch of its own.
            max_wait_ms: how long a batch waits to be filled, in milliseconds.
            decoded: told of every message that was decoded: its weight, and its size in bytes.
        """
        self._max_events = max_events
        self._max_wait_s = max_wait_ms / _MS
        self._decoded = decoded
        self._waiting: deque[Delivery] = deque()
        #: Decoded already, but too large for the batch it was decoded for.
        self._left_over: Message | None = None
        self._changed = asyncio.Event()
        self._forming = asyncio.Lock()
        self._settling = 0
        self._closed = False

    def extend(self, deliveries: Sequence[Delivery]) -> None:
        """Take in deliveries."""
        self._waiting.extend(deliveries)
        self._changed.set()

    def close(self) -> None:
        """Take in nothing more: what is here goes out at once, and then None."""
        self._closed = True
        self._changed.set()

    def settled(self) -> None:
        """Note that a batch handed out needs nothing more."""
        self._settling -= 1
        self._changed.set()

    async def next_batch(self) -> Batch | None:
        """Wait for the next batch; call ``settled`` when done with it.

        Returns:
            The batch, or None when closed and empty.
        """
        async with self._forming:
            while not (self._waiting or self._left_over or self._closed):
                await self._change()
            forming = _Forming()
            deadline = asyncio.get_running_loop().time() + self._max_wait_s
            while not await self._fill(forming):
                if self._closed or not self._settling or not await self._change_before(deadline):
                    break
            if not forming.messages:
                return None
            self._settling += 1
            return Batch(tuple(forming.messages))

    async def _fill(self, forming: _Forming) -> bool:
        """Move what is there into the batch; return whether it is full."""
        since_pause = 0
        while (message := self._next_message()) is not None:
            weight = message.weight
            if forming.messages and forming.weight + weight > self._max_events:
                self._left_over = message
                return True
            forming.messages.append(message)
            forming.weight += weight
            if forming.weight >= self._max_events:
                return True
            since_pause += weight
            if since_pause >= _DECODE_SLICE_EVENTS:
                since_pause = 0
                await asyncio.sleep(0)
        return False

    def _next_message(self) -> Message | None:
        if self._left_over is not None:
            message, self._left_over = self._left_over, None
            return message
        if not self._waiting:
            return None
        delivery = self._waiting.popleft()
        message = Message(delivery, decode_message(delivery.body, delivery.content_type))
        self._decoded(message.weight, len(delivery.body))
        return message

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _change_before(self, deadline: float) -> bool:
        try:
            async with asyncio.timeout_at(deadline):
                await self._change()
        except TimeoutError:
            return False
        return True
