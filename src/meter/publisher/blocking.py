"""The publisher of a service without asyncio: the same, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

from meter.publisher.lifetime import CLOSE_SECONDS, SendingLoop, leave_behind
from meter.publisher.recorder import Recorder, log

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

    from meter.publisher.sender import Sender

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Engine:
    """The running thread, seen from outside."""

    thread: threading.Thread
    loop: asyncio.AbstractEventLoop
    sender: Sender
    stop: asyncio.Event


class BlockingPublisher(Recorder):
    """Publishes usage events from threads; every method may be called from any of them.

    The thread that sends begins with the first event, so that a publisher made before a server forks its
    workers works in each of them. It is closed when the interpreter exits, if nobody did before::

        publisher = BlockingPublisher("amqp://user:password@broker", source="chat")
        publisher.record("acme", "alice", "llm", metadata={"input_tokens": 1200, "output_tokens": 340})
    """

    def open(self) -> Self:
        """Begin to send before the first event; returns at once, whether the broker is there or not."""
        self._running()
        return self

    def flush(self, timeout: float | None = None) -> int:
        """Wait until everything accepted so far is confirmed.

        Args:
            timeout: how long to wait, in seconds; for as long as it takes when None.

        Returns:
            How many events are not confirmed yet: 0 when all are.
        """
        return self.counters.buffered if self._ended else self._ask(lambda sender: sender.flush(timeout))

    def room(self, timeout: float | None = None) -> bool:
        """Wait until at least half of the buffer is free; for callers that can wait, such as a backfill.

        Args:
            timeout: how long to wait, in seconds; for as long as it takes when None.

        Returns:
            Whether there is room.
        """
        return self.has_room if self._ended else self._ask(lambda sender: sender.room(timeout))

    def close(self, timeout: float | None = CLOSE_SECONDS) -> int:
        """Accept nothing more, wait until everything is confirmed, then disconnect and end the thread.

        Args:
            timeout: how long to wait for the confirms, in seconds; disconnecting takes up to one more.

        Returns:
            How many events were never confirmed: 0 when nothing is lost. They are logged too.
        """
        self._outbox.close()
        try:
            if self.counters.buffered:
                self.flush(timeout)
        finally:
            with self._starting:
                engine, self._engine = self._engine, None
            if engine is not None:
                engine.loop.call_soon_threadsafe(engine.stop.set)
                engine.thread.join()
            self._report_end()
        return self.counters.buffered

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wake(self) -> None:
        try:
            self._running()
        except (RuntimeError, OSError) as error:  # the process is ending, or out of threads or files
            self._outbox.call_again()
            log.error("usage events are kept but not sent: %s", error)

    def _ask(self, question: Callable[[Sender], Coroutine[Any, Any, T]]) -> T:
        engine = self._running()
        return asyncio.run_coroutine_threadsafe(question(engine.sender), engine.loop).result()

    def _running(self) -> _Engine:
        with self._starting:
            if self._engine is None:
                started: Future[_Engine] = Future()
                threading.Thread(target=self._live, args=(started,), name=self._name, daemon=True).start()
                self._engine = started.result()
            return self._engine

    def _live(self, started: Future[_Engine]) -> None:
        try:
            with asyncio.Runner(loop_factory=SendingLoop) as runner:
                runner.run(self._send_until_stopped(started))
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)  # who started the thread waits for it

    async def _send_until_stopped(self, started: Future[_Engine]) -> None:
        sender, stop = self._new_sender(), asyncio.Event()
        sending = asyncio.create_task(sender.run())
        started.set_result(_Engine(threading.current_thread(), asyncio.get_running_loop(), sender, stop))
        await stop.wait()
        sending.cancel()
        await asyncio.wait({sending})

    def finish_at_exit(self, timeout: float) -> None:
        """Called when the interpreter exits; nothing to call by hand."""
        self.close(timeout)

    _engine: _Engine | None = None

    def _begin(self) -> None:
        super()._begin()
        self._starting = threading.Lock()
        # In a forked child the thread is not there any more.
        leave_behind(self._engine)
        self._engine = None
