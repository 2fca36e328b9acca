"""In haste, programs are forks of a process that has imported already what most of them need."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import runpy
import signal
import sys
import threading
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What the worker is made of and no more, which would stand in its memory; the API imports the rest itself.
_IMPORTED = (
    "meter.cli.commands",
    "meter.consumers.worker",
    "uvloop",
    "bench.messages",
    "bench.peers.one_event",
)
_GRACE_SECONDS = 8.0


def prepare() -> None:
    """Start the process that is forked, without waiting for it."""
    multiprocessing.set_forkserver_preload(list(_IMPORTED))
    forkserver.ensure_running()


class Fork:
    """A module that is run as ``python -m`` would, without the start of Python.

    Args:
        module: its name, and its arguments.
        environment: all of it.
        log: where it writes to.

    Attributes:
        pid: while it runs, and after.
    """

    def __init__(self, module: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._process = multiprocessing.get_context("forkserver").Process(
            target=_run, args=(tuple(module), dict(environment), str(log))
        )
        self._log = log
        self.pid: int | None = None

    async def start(self) -> None:
        """Start it."""
        self._log.write_bytes(b"")
        self._process.start()
        self.pid = self._process.pid

    async def wait(self) -> int:
        """Wait until it ends; returns its exit code."""
        await asyncio.to_thread(self._process.join)
        assert self._process.exitcode is not None  # noqa: S101 - it was waited for
        return self._process.exitcode

    async def stop(self) -> None:
        """Ask it to stop and wait until it has; it is killed when its grace is over."""
        if self.pid is None:
            return
        self._process.terminate()
        await asyncio.to_thread(self._process.join, _GRACE_SECONDS)
        self._process.kill()
        await asyncio.to_thread(self._process.join)

    def complaint(self) -> str:
        """What it wrote."""
        return self._log.read_text(errors="replace").strip()


def _run(module: tuple[str, ...], environment: Mapping[str, str], log: str) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    with Path(log).open("ab") as written:
        os.dup2(written.fileno(), sys.stdout.fileno())
        os.dup2(written.fileno(), sys.stderr.fileno())
    name, *sys.argv[1:] = module
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - it was forked on behalf of one
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
