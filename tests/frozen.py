"""Processes that do nothing at all for a while, with everything they started."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Freeze a process and all those below it.

    Every session of a PostgreSQL is a process with a group of its own, so signalling the server's is not
    enough.

    Args:
        pid: of the process that started the others; it goes on with them in the end.
    """
    first = psutil.Process(pid)
    # Once it stands still nobody is added.
    first.suspend()
    everyone = (*first.children(recursive=True), first)
    try:
        for process in everyone:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        yield
    finally:
        for process in everyone:
            with suppress(psutil.NoSuchProcess):
                process.resume()
