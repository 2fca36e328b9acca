"""Messages in, batches of decoded messages out."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from typing import TYPE_CHECKING

from meter.consumers.batch import Batch, decoded_message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meter.consumers.batch import Message
    from meter.consumers.deliveries import Delivery

#: Decoding goes on for so long before others get a turn, so that heartbeats and answers are not held up.
_DECODE_SLICE_S = 0.01
#: A batch of so many events is worth a transaction of its own while others are being settled: fewer cost the
#: database half as much again an event.
_WORTHWHILE_EVENTS = 500
#: A batch does not follow another one sooner: each costs the disk a flush, and those of the broker wait.
_PACE_S = 0.010
#: Suspects that are handled together at the most: if the worker dies, all of them are handled one by one,
#: which takes so many times two milliseconds.
_SUSPECTS_AT_ONCE = 100
#: And bytes of them, so that they are about as many events as a full batch has.
_SUSPECTS_BYTES = 1024 * 1024
_MS = 1_000


class Batcher:
    """Collects deliveries and hands them out in batches.

    A batch goes out at once while nothing is being settled and the last one is a moment ago. While as many
    batches are being settled as may be, it grows until one of them is done. In between it goes out when it
    is worth a transaction, or has waited for long enough. So nothing waits when little comes, and batches
    are large when much does.

    A delivery that came often already may be what kills its workers. Such suspects go out next, undecoded,
    many of them together, when all batches before are settled; nothing is decoded or goes out beside them.

    A message is never split over two batches. One batch is decoded ahead, no more: what waits here is bounded
    by the prefetch and by the allowance.
    """

    def __init__(
        self,
        max_events: int,
        max_wait_ms: int,
        at_once: int,
        decoded: Callable[[int, int, int], None],
        *,
        suspect_attempts: int = sys.maxsize,
    ) -> None:
        """Begin empty.

        Args:
            max_events: events of a batch; one message with more makes a batch of its own.
            max_wait_ms: how long a batch waits to be worth a transaction, in milliseconds.
            at_once: how many batches may be out.
            decoded: told of messages that were decoded: how many, their events and refusals, their bytes.
            suspect_attempts: from so many deliveries on a message is a suspect.
        """
        self._max_events = max_events
        self._max_wait_s = max_wait_ms / _MS
        self._at_once = at_once
        self._decoded = decoded
        self._waiting: deque[Delivery] = deque()
        #: Decoded already, but too large for the batch it was decoded for.
        self._left_over: Message | None = None
        self._suspect_attempts = suspect_attempts
        #: Next in line, with nothing beside them.
        self._suspects: deque[Delivery] = deque()
        #: Whether some of them are what is out at the moment.
        self._suspects_out = False
        self._changed = asyncio.Event()
        self._forming = asyncio.Lock()
        self._out = 0
        #: When the last batch went out, by the clock of the loop.
        self._went_out = float("-inf")
        self._closed = False

    def extend(self, deliveries: Sequence[Delivery]) -> None:
        """Take in deliveries."""
        least = self._suspect_attempts
        if max((delivery.attempts for delivery in deliveries), default=0) < least:
            self._waiting.extend(deliveries)
        else:
            self._waiting.extend(delivery for delivery in deliveries if delivery.attempts < least)
            self._suspects.extend(delivery for delivery in deliveries if delivery.attempts >= least)
        self._changed.set()

    def close(self) -> None:
        """Take in nothing more: what is here goes out as soon as it may, and then None."""
        self._closed = True
        self._changed.set()

    def settled(self) -> None:
        """Note that a batch handed out needs nothing more."""
        self._out -= 1
        self._suspects_out = False
        self._changed.set()

    async def next_batch(self) -> Batch | None:
        """Wait for the next batch; call ``settled`` when done with it.

        Returns:
            The batch, or None when closed and empty.
        """
        async with self._forming:
            while self._suspects_out or not self._has_something():
                await self._change()
            batch = Batch()
            deadline = asyncio.get_running_loop().time() + self._max_wait_s
            while not await self._is_ready(batch, deadline):
                pass
            if not batch.messages:
                if not self._suspects:
                    return None
                await self._take_suspects(batch)
            self._out += 1
            self._went_out = asyncio.get_running_loop().time()
            return batch

    def _has_something(self) -> bool:
        return bool(self._waiting or self._left_over or self._suspects or self._closed)

    async def _take_suspects(self, batch: Batch) -> None:
        while self._out:
            await self._change()
        taken = [self._suspects.popleft()]
        size = len(taken[0].body)
        while self._suspects and len(taken) < _SUSPECTS_AT_ONCE:
            size += len(self._suspects[0].body)
            if size > _SUSPECTS_BYTES:
                break
            taken.append(self._suspects.popleft())
        batch.suspects = tuple(taken)
        self._suspects_out = True

    async def _is_ready(self, batch: Batch, deadline: float) -> bool:
        """Decode what is there, for a while, and say whether the batch goes out; wait a little if not."""
        full = self._decode_some(batch)
        if not full and self._waiting:
            await asyncio.sleep(0)
            return False
        if self._out >= self._at_once and batch.messages:
            await self._change()
            return False
        if full or self._closed or batch.weight >= _WORTHWHILE_EVENTS:
            return True
        if not self._out:
            deadline = self._went_out + _PACE_S
            if deadline <= asyncio.get_running_loop().time():
                return True
        return not await self._change_before(deadline)

    def _decode_some(self, batch: Batch) -> bool:
        """Decode what is there into the batch, for a while; return whether nothing more goes into it."""
        if self._suspects:
            return True
        if self._left_over is not None:
            if not self._fits(self._left_over, batch):
                return True
            batch.add(self._left_over)
            self._left_over = None
        waiting, until = self._waiting, time.monotonic() + _DECODE_SLICE_S
        messages = weight = size = 0
        while waiting and batch.weight < self._max_events and time.monotonic() < until:
            message = decoded_message(waiting.popleft())
            messages += 1
            weight += message.weight
            size += len(message.delivery.body)
            if not self._fits(message, batch):
                self._left_over = message
                break
            batch.add(message)
        if messages:
            self._decoded(messages, weight, size)
        return self._left_over is not None or batch.weight >= self._max_events

    def _fits(self, message: Message, batch: Batch) -> bool:
        return not batch.messages or batch.weight + message.weight <= self._max_events

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
