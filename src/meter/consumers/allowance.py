"""The hard bound on the bytes a worker holds, whatever the prefetch count lets through."""

from __future__ import annotations

import asyncio


class Allowance:
    """Bytes of message bodies held on one connection; who brings more waits until some are released.

    The reader of the connection waits here and reads no more from its socket meanwhile, the kernel's buffers
    fill, and TCP holds the broker back.
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

    def hold(self, size: int) -> bool:
        """Hold a message if it may be held.

        Args:
            size: of its body, in bytes.

        Returns:
            Whether it is held; otherwise wait for ``room_for`` it.
        """
        if self._is_reached(size):
            return False
        self.held_bytes += size
        return True

    async def room_for(self, size: int) -> None:
        """Wait until a message may be held.

        Args:
            size: of its body, in bytes.
        """
        while self._is_reached(size):
            self._freed.clear()
            await self._freed.wait()

    def release(self, size: int) -> None:
        """Give back what messages held.

        Args:
            size: of their bodies, in bytes.
        """
        self.held_bytes -= size
        self._freed.set()

    def lift(self) -> None:
        """Let everyone through from now on: what comes is not kept any more."""
        self._open = True
        self._freed.set()

    def _is_reached(self, size: int) -> bool:
        return self.held_bytes > 0 and self.held_bytes + size > self._max_bytes and not self._open
