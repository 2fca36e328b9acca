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


class StackAlreadyRunning(MeterError):
    """Another ``meter up`` runs on the same state folder."""


@contextlib.contextmanager
def held_state_folder(folder: Path) -> Iterator[None]:
    """Make the state folder and hold its lock; the kernel lets go of it however this process ends.

    Args:
        folder: the state folder.

    Raises:
        StackAlreadyRunning: another process holds it.
    """
    # The servers' account passes through it to its own folders; nobody else needs to.
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True)
        if server_account() is not None:
            folder.chmod(0o711)
    # The folder itself is locked, so that no file is left of it.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackAlreadyRunning(
                f"meter is already running on {folder}; stop it with Ctrl-C where it was started, "
                "or set METER_STATE_DIR to another folder to run a second one"
            ) from None
        yield
    finally:
        os.close(descriptor)


def empty_state_folder(folder: Path) -> None:
    """Remove everything in it, after ending whatever a killed stack left running.

    Args:
        folder: the state folder, held by this process.
    """
    kill_leftovers(folder)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
