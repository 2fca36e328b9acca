"""What the machine has to give: memory and free ports."""

from __future__ import annotations

import contextlib
import json
import socket
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

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
    """Remembers which loopback port each server got, so that a restart keeps them.

    As long as the book is referred to it keeps its ports bound, without listening: nobody who asks the system
    for any port, or connects to somewhere, is given one of them between its choice and the server's start, or
    while the server restarts. A server that sets ``SO_REUSEADDR``, as all of ours do, can listen there.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._bound: dict[str, socket.socket] = {}
        weakref.finalize(self, _close_all, self._bound)

    def assign(self, names: Iterable[str], preferred: Mapping[str, int] | None = None) -> dict[str, int]:
        """Give each name a loopback port: the preferred one or the one it had, if free, else another.

        Args:
            names: what the ports are for.
            preferred: ports by name that come first.

        Returns:
            Ports by name, all different, on which nobody listened a moment ago.
        """
        remembered = self._read()
        assigned: dict[str, int] = {}
        for name in names:
            bound = _bind((preferred or {}).get(name, 0), remembered.get(name, 0), taken=assigned.values())
            assigned[name] = bound.getsockname()[1]
            earlier, self._bound[name] = self._bound.get(name), bound
            if earlier is not None:
                earlier.close()
        self._file.write_text(json.dumps(remembered | assigned))
        return assigned

    def _read(self) -> dict[str, int]:
        try:
            found = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}
        return {name: port for name, port in found.items() if isinstance(port, int)}


def _bind(*wanted: int, taken: Collection[int]) -> socket.socket:
    """Bind the first wanted port that is free and not taken, else any that is free."""
    for port in (*(port for port in wanted if port and port not in taken), 0):
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        # What the servers do themselves: a port whose last connections still linger is free.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((LOOPBACK, port))
        except OSError:
            bound.close()
            continue
        return bound
    raise OSError("no free port on 127.0.0.1")


def _close_all(bound: Mapping[str, socket.socket]) -> None:
    for each in bound.values():
        each.close()
