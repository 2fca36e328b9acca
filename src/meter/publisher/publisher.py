"""The publisher of an asyncio service."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from meter.publisher.lifetime import CLOSE_SECONDS, SendingLoop, leave_behind
from meter.publisher.recorder import Recorder

if TYPE_CHECKING:
    from types import TracebackType

    from meter.publisher.sender import Sender


class Publisher(Recorder):
    """Publishes usage events from an asyncio service.

    ``record`` may be called from any thread and before the publisher is open; what it accepted is sent while
    the publisher is open::

        async with Publisher("amqp://user:password@broker", source="chat") as publisher:
            publisher.record("acme", "alice", "llm", metadata={"input_tokens": 1200, "output_tokens": 340})
    """

    _sender: Sender | None = None
    _sending: asyncio.Task[None] | None = None

    async def open(self) -> Self:
        """Begin to send, in the running loop; returns at once, whether the broker is there or not."""
        self._opened()
        return self

    async def flush(self, timeout: float | None = None) -> int:  # noqa: ASYNC109 - it answers at the deadline, not raises
        """Wait until everything accepted so far is confirmed.

        Args:
            timeout: how long to wait, in seconds; for as long as it takes when None.

        Returns:
            How many events are not confirmed yet: 0 when all are.
        """
        return self.counters.buffered if self._ended else await self._opened().flush(timeout)

    async def room(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - it answers at the deadline, not raises
        """Wait until at least half of the buffer is free; for callers that can wait, such as a backfill.

        Args:
            timeout: how long to wait, in seconds; for as long as it takes when None.

        Returns:
            Whether there is room.
        """
        return self.has_room if self._ended else await self._opened().room(timeout)

    async def close(self, timeout: float | None = CLOSE_SECONDS) -> int:  # noqa: ASYNC109 - as above
        """Accept nothing more, wait until everything is confirmed, then disconnect.

        Args:
            timeout: how long to wait for the confirms, in seconds; disconnecting takes up to one more.

        Returns:
            How many events were never confirmed: 0 when nothing is lost. They are logged too.
        """
        self._outbox.close()
        try:
            if self.counters.buffered:
                await self.flush(timeout)
        finally:
            if self._sending is not None:
                self._sending.cancel()
                await asyncio.wait({self._sending})
                self._sending = None
            self._report_end()
        return self.counters.buffered

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def finish_at_exit(self, timeout: float) -> None:
        """Called when the interpreter exits; nothing to call by hand."""
        if self._ended:
            return
        if self._sending is not None and (loop := self._sending.get_loop()).is_running():
            with suppress(TimeoutError):  # its thread is still there, and may be stuck
                asyncio.run_coroutine_threadsafe(self.close(timeout), loop).result(timeout + 1)
        elif not self.counters.buffered:
            self._outbox.close()
            self._report_end()
        else:
            self._leave_loop_behind()
            self._outbox.give_all_back()
            with asyncio.Runner(loop_factory=SendingLoop) as runner:
                runner.run(self.close(timeout))

    def _begin(self) -> None:
        super()._begin()
        self._leave_loop_behind()

    def _leave_loop_behind(self) -> None:
        leave_behind(self._sender, self._sending)
        self._sender = self._sending = None

    def _opened(self) -> Sender:
        if self._sender is None:
            self._sender = self._new_sender()
            self._sending = asyncio.get_running_loop().create_task(self._sender.run(), name=self._name)
        return self._sender
