"""One guarded child: started, watched, stopped, and found again after a crash."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from meter.errors import MeterError
from meter.local.account import server_account

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_GUARD = Path(__file__).with_name("guard.py")
#: How much of a log a person is shown when a server does not come up.
_TAIL_BYTES = 2_000
#: The kernel counts from its own start, so a corrected clock moves a birth a little.
_SAME_BIRTH_SECONDS = 1.0
_KILLED_SECONDS = 5.0


class ServerNotStarted(MeterError):
    """An embedded server did not come up."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run and how to end it.

    Attributes:
        name: what a person calls it; also names its log and pid file.
        folder: where the log and the pid file go.
        arguments: program and arguments.
        environment: the whole environment.
        stop_signal: asks it to stop.
        grace_seconds: how long it may take to stop before it is killed.
        demote: run as the servers' account when meter runs as root.
    """

    name: str
    folder: Path
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    stop_signal: signal.Signals = signal.SIGTERM
    grace_seconds: float = 8.0
    demote: bool = False

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.folder / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        """Which process it is while it runs."""
        return self.folder / f"{self.name}.pid"


class Child:
    """A running command under its guard."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.pid: int | None = None
        self._guard: asyncio.subprocess.Process | None = None
        self._log_start = 0

    async def start(self) -> None:
        """Start the command; whatever an earlier meter left running under the same name is ended first.

        Raises:
            ServerNotStarted: the program cannot be run.
        """
        command = self.command
        await end_leftover(command)
        self._log_start = command.log.stat().st_size if command.log.exists() else 0
        account = server_account() if command.demote else None
        specification = {
            "command": list(command.arguments),
            "log": str(command.log),
            "stop_signal": command.stop_signal.name,
            "grace_seconds": command.grace_seconds,
            "account": None if account is None else [account.uid, account.gid],
        }
        guard = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", str(_GUARD), json.dumps(specification)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(command.environment),
            cwd="/",
            start_new_session=True,
        )
        self._guard = guard
        assert guard.stdout is not None  # noqa: S101 - asked for just above
        first_line = await guard.stdout.readline()
        if not first_line:
            _, complaint = await guard.communicate()
            reason = complaint.decode(errors="replace").strip().rpartition("\n")[2]
            raise ServerNotStarted(f"{command.name} cannot be run: {reason}")
        self.pid = int(first_line)
        _note(command.pid_file, server=self.pid, guard=guard.pid)

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._guard is not None and self._guard.returncode is None

    async def wait(self) -> int:
        """Wait until it ends; returns its exit code."""
        assert self._guard is not None  # noqa: S101 - a child is started before it is waited for
        return await self._guard.wait()

    async def stop(self) -> None:
        """Ask it to stop and wait until it has; it is killed when its grace is over."""
        if self._guard is None:
            return
        assert self._guard.stdin is not None  # noqa: S101 - it is always a pipe
        self._guard.stdin.close()
        await self._guard.wait()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            await self._guard.stdin.wait_closed()
        self.command.pid_file.unlink(missing_ok=True)

    def complaint(self) -> str:
        """What it wrote since this start, shortened to the end."""
        with contextlib.suppress(OSError), self.command.log.open("rb") as log:
            log.seek(0, 2)
            log.seek(max(self._log_start, log.tell() - _TAIL_BYTES))
            return log.read().decode(errors="replace").strip()
        return ""


async def end_leftover(command: Command) -> None:
    """End what an earlier meter that was killed left running, and forget it.

    Args:
        command: whose pid file to look into.
    """
    server, guard = _noted(command.pid_file)
    with contextlib.suppress(psutil.NoSuchProcess):
        if server is not None:
            server.send_signal(command.stop_signal)
            await _end(server, command.grace_seconds)
    if guard is not None:
        # It ends by itself once the server has.
        await _end(guard, command.grace_seconds)
    command.pid_file.unlink(missing_ok=True)


async def _end(leftover: psutil.Process, seconds: float) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        try:
            await asyncio.to_thread(leftover.wait, seconds)
        except psutil.TimeoutExpired:
            leftover.kill()
            await asyncio.to_thread(leftover.wait, seconds)


def _note(file: Path, *, server: int, guard: int) -> None:
    # The moment of birth tells a process from a later one with the same number.
    noted = []
    for pid in (server, guard):
        with contextlib.suppress(psutil.NoSuchProcess):
            noted.append([pid, psutil.Process(pid).create_time()])
    file.write_text(json.dumps(noted))


def _noted(file: Path) -> tuple[psutil.Process | None, psutil.Process | None]:
    try:
        (server, server_born), (guard, guard_born) = json.loads(file.read_text())
    except (OSError, ValueError):
        return None, None
    return find_process(server, server_born), find_process(guard, guard_born)


def find_process(pid: int, born: float) -> psutil.Process | None:
    """Find the process with a number, if it is still the one it was.

    Args:
        pid: its number.
        born: when it began, in seconds since the epoch.

    Returns:
        None when it has ended; its number may have been given to another since.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        candidate = psutil.Process(pid)
        if abs(candidate.create_time() - born) < _SAME_BIRTH_SECONDS:
            return candidate
    return None


def kill_leftovers(folder: Path) -> None:
    """Kill what an earlier meter left running in a folder whose content is not needed any more.

    Args:
        folder: its pid files are looked for at any depth.
    """
    for file in folder.rglob("*.pid"):
        leftovers = [found for found in _noted(file) if found is not None]
        for leftover in leftovers:
            with contextlib.suppress(psutil.NoSuchProcess):
                leftover.kill()
        psutil.wait_procs(leftovers, timeout=_KILLED_SECONDS)
        file.unlink(missing_ok=True)
