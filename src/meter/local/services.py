"""Meter's own processes in a stack: the worker and both APIs, as children that are ready when started."""

from __future__ import annotations

import asyncio
import http.client
import os
import sys
import time
from typing import TYPE_CHECKING

from meter.local.child import Child, Command, ServerNotStarted
from meter.local.machine import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_READY_SECONDS = 60.0
_POLL_SECONDS = 0.05
#: The worker settles what it holds within 10 s; a little more before it is killed.
_GRACE_SECONDS = 12.0


class Service:
    """One of meter's own processes."""

    def __init__(
        self, name: str, folder: Path, environment: Mapping[str, str], *, ready_at: tuple[str, int]
    ) -> None:
        """Nothing is started yet.

        Args:
            name: the subcommand of ``meter``.
            folder: where its log goes.
            environment: the ``METER_…`` variables it is told.
            ready_at: the address and port where it answers ``/readyz``.
        """
        self.name = name
        # What listens everywhere is asked on loopback.
        host, self._ready_port = ready_at
        self._ready_host = LOOPBACK if host in ("0.0.0.0", "::", "") else host  # noqa: S104
        self._command = Command(
            name=name,
            folder=folder,
            arguments=[sys.executable, "-m", "meter", name],
            environment=environment,
            grace_seconds=_GRACE_SECONDS,
        )
        self._child = Child(self._command)

    def running_child(self) -> Child:
        """The child that runs at the moment."""
        return self._child

    async def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            ServerNotStarted: it ended or was not ready in time; the message ends with its own words.
        """
        self._command.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._child = Child(self._command)
        await self._child.start()
        deadline = time.monotonic() + _READY_SECONDS
        while not await asyncio.to_thread(self._is_ready):
            if not self._child.running or time.monotonic() > deadline:
                raise ServerNotStarted(f"the {self.name} did not get ready: {self._child.complaint()}")
            await asyncio.sleep(_POLL_SECONDS)

    async def restart(self) -> None:
        """Start it again, running or not.

        Raises:
            ServerNotStarted: as of :meth:`start`.
        """
        await self.stop()
        await self.start()

    async def stop(self) -> None:
        """Ask it to stop and wait until it has."""
        await self._child.stop()

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(self._ready_host, self._ready_port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def service_environment(told: Mapping[str, str]) -> dict[str, str]:
    """What a service is told: what meter itself was told, with some of it replaced.

    Args:
        told: the ``METER_…`` variables that this stack decides.
    """
    inherited = {name: text for name, text in os.environ.items() if name.removesuffix("_FILE") not in told}
    return inherited | {"METER_LOG_FORMAT": "json", "PYTHONUNBUFFERED": "1"} | dict(told)
