"""Ends a process that does nothing at all any more, so that whoever looks after it starts another.

What hangs a worker is code that never comes back: a parser or a regular expression that runs for ever. No
thread of Python would notice, since such code may hold the interpreter; ``faulthandler`` waits in a thread of
its own that needs no interpreter, prints where every thread is, and exits.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

#: The clock is put forward so many times within the timeout.
_TURNS = 4


@contextlib.asynccontextmanager
async def watchdog(timeout_s: float) -> AsyncIterator[None]:
    """End the process with exit code 1 when its event loop stands still for too long.

    Waiting, for a database for instance, is not standing still.

    Args:
        timeout_s: how long it may stand still, in seconds.
    """
    turning = asyncio.create_task(_turn(timeout_s))
    try:
        yield
    finally:
        turning.cancel()
        await asyncio.gather(turning, return_exceptions=True)
        faulthandler.cancel_dump_traceback_later()


async def _turn(timeout_s: float) -> None:
    while True:
        faulthandler.dump_traceback_later(timeout_s, exit=True)
        await asyncio.sleep(timeout_s / _TURNS)
