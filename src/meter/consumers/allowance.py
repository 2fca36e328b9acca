"""The hard bound on the bytes a worker holds, whatever the prefetch count lets through."""

from __future__ import annotations

import asyncio


class Allowance:
    """Bytes of message bodies held on one connection; who brings more waits until some are released.

    The reader of the channel waits here, so the connection reads no more from its socket, the kernel's
    buffers fill, and TCP holds the broker back.
    """

    __slots__ = ("_freed", "_max_bytes", "_open", "held_bytes")

    def __init__(self, max_bytes: int) -> None:
        """Hold nothing yet.

        Args:
            max_bytes: the bound; one message larger than it is let in when nothing else is held.
        """
        self._max_bytes = max_bytes
        self._freed = asyncio.Event()
        self._open = False
        #: Bytes held now.
        self.held_bytes = 0

    def is_reached(self, size: int) -> bool:
        """Whether a message has to wait.

        Args:
            size: of its body, in bytes.
        """
        return not self._open and self.held_bytes > 0 and self.held_bytes + size > self._max_bytes

    async def acquire(self, size: int) -> None:
        """Wait until a message may be held, and hold it.

        Args:
            size: of its body, in bytes.
        """
        while self.is_reached(size):
            self._freed.clear()
            await self._freed.wait()
        self.held_bytes += size

    def release(self, size: int) -> None:
        """Give back what a message held.

        Args:
            size: of its body, in bytes.
        """
        self.held_bytes -= size
        self._freed.set()

    def lift(self) -> None:
        """Let everyone through from now on: what comes is not kept any more."""
        self._open = True
        self._freed.set()
