"""What the machine has to give: memory and free ports."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Where Linux says how much memory a container may use, in its second and first form.
_CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
LOOPBACK = "127.0.0.1"


def machine_memory_bytes() -> int:
    """How much memory the machine, or the container around us, has."""
    limits = [psutil.virtual_memory().total]
    for file in _CONTAINER_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(file.read_text()))
    return min(limits)


class PortBook:
    """Remembers which loopback port each server got, so that a restart keeps them."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def assign(self, names: Iterable[str], preferred: Mapping[str, int] | None = None) -> dict[str, int]:
        """Give each name a loopback port: the preferred one or the one it had, if free, else another.

        Args:
            names: what the ports are for.
            preferred: ports by name that come first.

        Returns:
            Ports by name, all different, all free a moment ago.
        """
        remembered = self._read()
        assigned: dict[str, int] = {}
        with contextlib.ExitStack() as held:
            for name in names:
                assigned[name] = _claim(held, (preferred or {}).get(name, 0), remembered.get(name, 0))
        self._file.write_text(json.dumps(remembered | assigned))
        return assigned

    def _read(self) -> dict[str, int]:
        try:
            found = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}
        return {name: port for name, port in found.items() if isinstance(port, int)}


def _claim(held: contextlib.ExitStack, *wanted: int) -> int:
    """Bind a wanted port, or any, for as long as the stack is open, so that no two names get the same."""
    for port in (*filter(None, wanted), 0):
        listener = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        # What the servers do themselves: a port whose last connections still linger is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            continue
        return int(listener.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")
