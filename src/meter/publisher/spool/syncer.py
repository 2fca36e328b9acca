"""Brings accepted events to the disk soon after they were written, many with one sync."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: How long an event may wait for the disk under ``EVERY_10_MS``, in seconds.
SYNC_SECONDS = 0.010


class Syncer:
    """Calls ``sync`` soon after a write, in a thread of its own, never for each write."""

    def __init__(self, sync: Callable[[], None]) -> None:
        self._sync = sync
        self.due = False  #: whether a sync will come that serves everything written until then
        self._asked = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def ask(self) -> None:
        """Sync within ``SYNC_SECONDS``, when none is due already; not for two threads at once.

        Raises:
            RuntimeError: the thread cannot be started; ask again.
        """
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="meter spool", daemon=True)
            thread.start()
            self._thread = thread
        self.due = True
        self._asked.set()

    def stop(self) -> None:
        """Sync no more."""
        self._stopping.set()
        self._asked.set()

    def _run(self) -> None:
        while True:
            self._asked.wait()
            if self._stopping.wait(SYNC_SECONDS):
                return
            self._asked.clear()
            self.due = False  # before the sync: what is written from now on may miss it
            self._sync()
