"""The cache folder, which several processes may fill at the same time: each part of it is made once."""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from meter.local.account import make_open_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_ASK_AGAIN_S = 0.1


@asynccontextmanager
async def filling(folder: Path) -> AsyncIterator[None]:
    """Be the only one that fills a folder; whoever comes second waits, then looks again what is there.

    Args:
        folder: made if missing. The kernel gives its lock back however this process ends.
    """
    make_open_folder(folder)
    # The folder itself is locked, so that no file is left of it.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        while not _locked(descriptor):  # noqa: ASYNC110 - the kernel wakes threads only, which nothing can cancel
            await asyncio.sleep(_ASK_AGAIN_S)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
