"""A real ``meter up`` as a process of its own, and commands typed beside it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from tests.private_servers import processes_in

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Mapping

#: Two machines' worth of patience; a second start is measured on its own.
START_SECONDS = 120
STOP_SECONDS = 15
COMMAND_SECONDS = 60
#: What a person types; it is installed beside the interpreter.
_METER = str(Path(sys.executable).with_name("meter"))
#: The processes of a stack choose their ports, for others may run on this machine.
_ANY_PORTS = {
    f"METER_{name}_PORT": "0" for name in ("API", "API_METRICS", "ADMIN", "ADMIN_METRICS", "WORKER")
}
#: Tests that wait for something ask far more often than people.
_NEVER_ENOUGH = {"METER_READS_PER_MINUTE": "1000000", "METER_WRITES_PER_MINUTE": "1000000"}


class RunningStack:
    """A ``meter up`` and what it says."""

    def __init__(self, process: Process, folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.said = ""

    async def says(self, pattern: str, seconds: float = START_SECONDS) -> re.Match[str]:
        """Wait until it says something; what it has said before counts as well."""
        assert self.process.stdout is not None
        async with asyncio.timeout(seconds):
            while (found := re.search(pattern, self.said, re.MULTILINE)) is None:
                line = await self.process.stdout.readline()
                assert line, f"it ended: {self.said}"
                self.said += line.decode()
        return found

    async def dsn(self) -> str:
        """The owner's address of the embedded database."""
        return (await self.says(r"^  psql +psql '(\S+)'$"))[1]

    async def publisher_url(self) -> str:
        """The publisher's address of the embedded broker."""
        return (await self.says(r"^  publish to +(amqp:\S+)$"))[1]

    async def api_url(self) -> str:
        """The base of the read API."""
        return (await self.says(r"^  API +(http:\S+)$"))[1]

    async def admin_url(self) -> str:
        """The base of the control plane."""
        return (await self.says(r"^  API that writes +(http:\S+)$"))[1]

    async def metrics_urls(self) -> list[str]:
        """Where Prometheus finds both APIs, the worker and, where it is embedded, the broker."""
        await self.says("^  state and logs ")
        return re.findall(r"(http:\S+/metrics)$", self.said, re.MULTILINE)

    async def stop(self, number: signal.Signals = signal.SIGINT) -> str:
        """Ask it to stop; returns all that it has said."""
        with contextlib.suppress(ProcessLookupError):
            if number is signal.SIGINT:
                # Ctrl-C in a terminal reaches the whole group and not only the process that was started.
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)
        return await self.ends(STOP_SECONDS)

    async def ends(self, seconds: float = START_SECONDS) -> str:
        """Wait until it ends by itself; returns all that it has said."""
        assert self.process.stdout is not None
        async with asyncio.timeout(seconds):
            self.said += (await self.process.stdout.read()).decode()
            await self.process.wait()
        return self.said

    async def close(self) -> None:
        """Make sure that nothing is left of it, however the test went."""
        if self.process.returncode is None:
            await self.stop()
        assert processes_in(self.folder) == []


@contextlib.asynccontextmanager
async def running_stack(folder: Path, *arguments: str, **told: str) -> AsyncIterator[RunningStack]:
    """Start a stack; stop it at the end.

    Args:
        folder: its state folder.
        arguments: of ``meter up``.
        told: environment variables.
    """
    running = await start(folder, *arguments, **told)
    try:
        yield running
    finally:
        await running.close()


async def start(folder: Path, *arguments: str, **told: str) -> RunningStack:
    """Start a stack without waiting for anything; the caller stops it.

    Args:
        folder: its state folder.
        arguments: of ``meter up``.
        told: environment variables.
    """
    process = await asyncio.create_subprocess_exec(
        *(_METER, "up", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment(folder, **told),
        start_new_session=True,
    )
    return RunningStack(process, folder)


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str


async def meter(folder: Path, *arguments: str, **told: str) -> Finished:
    """Run a command to its end.

    Args:
        folder: the state folder of the stack it runs beside.
        arguments: the command's.
        told: environment variables.
    """
    process = await asyncio.create_subprocess_exec(
        *(_METER, *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(folder, **told),
    )
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode is not None
    return Finished(process.returncode, out.decode(), err.decode())


def environment(folder: Path, **told: str) -> Mapping[str, str]:
    """What a stack or a command is told: nothing of what the caller is told about other servers.

    Args:
        folder: the state folder.
        told: environment variables.
    """
    kept = {name: text for name, text in os.environ.items() if not name.startswith("METER_")}
    if "METER_CACHE_DIR" in os.environ:
        kept["METER_CACHE_DIR"] = os.environ["METER_CACHE_DIR"]
    return kept | {"METER_STATE_DIR": str(folder)} | _ANY_PORTS | _NEVER_ENOUGH | told


def listening_ports(folder: Path) -> set[int]:
    """The ports on which the processes of a state folder listen.

    Args:
        folder: the state folder.
    """
    return {
        connection.laddr.port
        for process in processes_in(folder)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
