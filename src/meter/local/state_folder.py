"""The state folder of ``meter up``: one running stack at a time, and how to begin again empty."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from typing import TYPE_CHECKING

from meter.errors import MeterError
from meter.local.account import server_account
from meter.local.child import kill_leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOCK_NAME = "lock"


class StackAlreadyRunning(MeterError):
    """Another ``meter up`` runs on the same state folder."""


@contextlib.contextmanager
def held_state_folder(folder: Path) -> Iterator[None]:
    """Make the state folder and hold its lock; the kernel lets go of it however this process ends.

    Args:
        folder: the state folder.

    Raises:
        StackAlreadyRunning: another process holds it; the message says which.
    """
    # The servers' account passes through it to its own folders; nobody else needs to.
    folder.mkdir(mode=0o700 if server_account() is None else 0o711, parents=True, exist_ok=True)
    descriptor = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = lock.read().strip()
            raise StackAlreadyRunning(
                f"meter is already running on {folder} (process {holder}); "
                "stop it with Ctrl-C there, or set METER_STATE_DIR to another folder to run a second one"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def empty_state_folder(folder: Path) -> None:
    """Remove everything but the lock, after ending whatever a killed stack left running.

    Args:
        folder: the state folder, held by this process.
    """
    kill_leftovers(folder)
    for path in folder.iterdir():
        if path.name == _LOCK_NAME:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
