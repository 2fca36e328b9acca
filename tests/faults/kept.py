"""A process that is started again whenever it ends, as an orchestrator does."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

from meter.local.child import Child

if TYPE_CHECKING:
    from collections.abc import Callable

    from meter.local.child import Command

#: How long an orchestrator grants between SIGTERM and SIGKILL.
GRACE_S = 10.0
#: A process ends and the next one begins within this on the slowest machine we know.
_DEADLINE_S = 60.0
#: Below it nothing is restarted: a process that ends at once would be started without end.
_RESTART_AFTER_S = 0.1


class Kept:
    """One place in which a process runs, the next one when it ends."""

    def __init__(self, command: Command) -> None:
        self.name = command.name
        self.log = command.log
        self.starts = 0
        #: How processes ended that nobody had ended.
        self.unasked: list[str] = []
        #: How many did not end in time after SIGTERM.
        self.overdue = 0
        self._child = Child(command)
        self._ended_by_us = False
        self._stopping = False
        self._keeping: asyncio.Task[None] | None = None
        self._started = asyncio.Condition()

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        assert self._child.pid is not None
        return self._child.pid

    async def start(self) -> None:
        """Start the process, and keep it."""
        await self._child.start()
        self.starts += 1
        self._keeping = asyncio.create_task(self._keep())

    async def kill(self) -> None:
        """Kill it without a warning; returns when the next one was started."""
        self._ended_by_us = True
        await self._replaced_by(lambda: os.kill(self.pid, signal.SIGKILL))

    async def terminate(self) -> None:
        """End it as an orchestrator does; returns when the next one was started."""
        self._ended_by_us = True
        overdue = asyncio.get_running_loop().call_later(GRACE_S, self._kill_overdue, self.pid)
        await self._replaced_by(lambda: os.kill(self.pid, signal.SIGTERM))
        overdue.cancel()

    def freeze(self) -> int:
        """Let it do nothing; returns the process to ``thaw``."""
        os.kill(self.pid, signal.SIGSTOP)
        return self.pid

    def thaw(self, pid: int) -> None:
        """Let it go on."""
        os.kill(pid, signal.SIGCONT)

    async def stop(self) -> None:
        """End it for good."""
        self._stopping = True
        await self._child.stop()
        if self._keeping is not None:
            await self._keeping

    async def _replaced_by(self, end: Callable[[], None]) -> None:
        async with asyncio.timeout(_DEADLINE_S), self._started:
            before = self.starts
            end()
            await self._started.wait_for(lambda: self.starts > before)

    def _kill_overdue(self, pid: int) -> None:
        self.overdue += 1
        os.kill(pid, signal.SIGKILL)

    async def _keep(self) -> None:
        while True:
            code = await self._child.wait()
            if self._stopping:
                return
            if not self._ended_by_us:
                self.unasked.append(f"{self.name} ended by itself with code {code}")
            self._ended_by_us = False
            await asyncio.sleep(_RESTART_AFTER_S)
            await self._child.start()
            async with self._started:
                self.starts += 1
                self._started.notify_all()
