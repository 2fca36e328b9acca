"""Files that belong to one process for as long as it lives: locked, and never handed on to a forked child.

The lock is ``flock``: the kernel gives it back when the last descriptor of the opened file is closed, however
its process ends. A forked child inherits descriptors, and with them the lock would outlive its owner; so
every child closes its copies at once. Opening and noting a descriptor is one step that no fork can fall into.
"""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: Events name users: nobody else is to read them.
_MODE = 0o600

_lock = threading.Lock()
_descriptors: set[int] = set()


def open_locked(path: Path, *, create: bool) -> int | None:
    """Open a file and take it over.

    Args:
        path: the file; appended to and read.
        create: whether it must be a new one.

    Returns:
        The descriptor; None when the file belongs to somebody else or is being removed.

    Raises:
        OSError: it cannot be opened.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if create else 0)
    with _lock:
        descriptor = os.open(path, flags, _MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its owner may have removed it between our opening and our locking.
            if os.fstat(descriptor).st_nlink:
                _descriptors.add(descriptor)
                return descriptor
        except BlockingIOError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None


def duplicate(descriptor: int) -> int:
    """Another descriptor of the same opened file; the file stays locked until both are closed.

    Raises:
        OSError: the process has no descriptor left.
    """
    with _lock:
        twin = os.dup(descriptor)
        _descriptors.add(twin)
        return twin


def close(descriptor: int) -> None:
    """Close a descriptor; with the last one the file belongs to nobody."""
    with _lock:
        _descriptors.discard(descriptor)
        with suppress(OSError):  # what a close after an error of the disk has to say was said by the sync
            os.close(descriptor)


def _close_in_child() -> None:
    global _lock  # noqa: PLW0603 - the parent's threads, which might hold it, are not here
    _lock = threading.Lock()
    for descriptor in _descriptors:
        with suppress(OSError):
            os.close(descriptor)
    _descriptors.clear()


def _before_fork() -> None:
    _lock.acquire()


def _after_fork() -> None:
    _lock.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_close_in_child)
