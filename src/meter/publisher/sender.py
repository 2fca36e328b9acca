"""Takes messages from the outbox and brings them to the broker, for as long as it takes."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import aiormq

from meter.amqp import REFUSALS_MAX, BrokerLost
from meter.backoff import Backoff
from meter.publisher.link import Link, connected
from meter.publisher.outbox import Message, Outbox
from meter.publisher.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable

    from meter.nodes import Nodes
    from meter.publisher.spool import SpoolOutbox

log = logging.getLogger("meter.publisher")

#: Messages on their way at once. A quorum queue confirms after a disk sync of its own batch, so several in
#: flight keep it busy. Measured with full messages against a node on the same two cores, in events a second:
#: 4 give 58,000, 8 give 220,000, 16 give 320,000, 32 no more. A lost connection sends all of them again.
WINDOW_MESSAGES = 16


class Sender:
    """Owns the connection and its rebuilding; lives in one event loop."""

    def __init__(
        self, outbox: Outbox | SpoolOutbox, *, nodes: Nodes, name: str, confirm_seconds: float
    ) -> None:
        self._outbox = outbox
        self._nodes = nodes
        self._place = nodes.place
        self._name = name
        self._confirm_seconds = confirm_seconds
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._stirred = asyncio.Event()
        self._progress = asyncio.Event()
        self._turn = asyncio.Lock()
        self._reconnecting = Backoff()
        self._complaint = Throttle()
        outbox.wake_by(self._wake)

    async def run(self) -> None:
        """Send until cancelled; every failure of the broker is survived."""
        while True:
            try:
                node = self._nodes.next()
                self._place = node.place
                async with connected(node, name=self._name, confirm_seconds=self._confirm_seconds) as link:
                    log.info("publishing usage events to %s", self._place)
                    await self._send_over(link)
            except Exception as failure:  # noqa: BLE001 - whatever broke, the only answer is a new connection
                self._complain("lost the broker at %s, events are kept: %s", self._place, _first_of(failure))
            self._nodes.failed()
            # Another node may be well: it is only spared that everyone comes in one moment.
            waits = self._reconnecting if self._nodes.all_failed else Backoff()
            await asyncio.sleep(waits.next_seconds())

    async def flush(self, timeout: float | None) -> int:  # noqa: ASYNC109 - it answers at the deadline, not raises
        """Wait until everything accepted so far is confirmed; returns how many events are not."""
        last = self._outbox.seal()
        await self._until(lambda: self._outbox.left_through(last) == 0, timeout)
        return self._outbox.left_through(last)

    async def room(self, timeout: float | None) -> bool:  # noqa: ASYNC109 - it answers at the deadline, not raises
        """Wait until at least half of the buffer is free; returns whether it is, at the deadline."""
        return await self._until(lambda: self._outbox.has_room, timeout)

    async def _send_over(self, link: Link) -> None:
        async with asyncio.TaskGroup() as lanes:
            lanes.create_task(link.lost())
            for _ in range(WINDOW_MESSAGES):
                lanes.create_task(self._lane(link))

    async def _lane(self, link: Link) -> None:
        while True:
            message = await self._next()
            try:
                await self._deliver(link, message)
            except BaseException:
                self._outbox.give_back(message)
                raise
            self._outbox.confirm(message)
            self._reconnecting.reset()
            self._nodes.reached()
            self._progress.set()
            self._progress = asyncio.Event()

    async def _deliver(self, link: Link, message: Message) -> None:
        backoff = Backoff()
        refusals = 0
        while True:
            try:
                return await link.publish(message)
            except aiormq.DeliveryError as refusal:
                returned = isinstance(refusal, aiormq.PublishError)
                why = "has no queue for usage events" if returned else "refused usage events"
                self._complain("the broker at %s %s, they are kept and sent again", self._place, why)
                self._outbox.note_retry(message, returned=returned)
                refusals += not returned
                if refusals == REFUSALS_MAX:
                    raise BrokerLost("it refuses usage events") from refusal
            await asyncio.sleep(backoff.next_seconds())

    async def _next(self) -> Message:
        async with self._turn:  # one lane waits for the outbox, the others for their turn
            while True:
                self._stirred.clear()
                taken = self._outbox.take()
                if isinstance(taken, Message):
                    return taken
                with suppress(TimeoutError):
                    async with asyncio.timeout(taken):
                        await self._stirred.wait()

    async def _until(self, reached: Callable[[], bool], timeout: float | None) -> bool:  # noqa: ASYNC109 - as above
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not reached():
                    await self._progress.wait()
        return reached()

    def _wake(self) -> None:
        if threading.get_ident() == self._thread_id:
            self._stirred.set()
            return
        with suppress(
            RuntimeError
        ):  # the loop is closed: its owner is gone, the events stay counted as buffered
            self._loop.call_soon_threadsafe(self._stirred.set)

    def _complain(self, sentence: str, *facts: str) -> None:
        if self._complaint.lets_pass():
            log.warning(sentence, *facts)


def _first_of(failure: BaseException) -> str:
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return str(failure) or type(failure).__name__
