"""What a service may count on, on disk before the next fault: ids of 16 bytes, one write(2) each time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

_KEY_BYTES = 16


class AcceptedFile:
    """An append-only file of ids; what write(2) took outlives the process that is killed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def add(self, keys: Sequence[UUID]) -> None:
        """Note ids, all in one write."""
        if keys:
            os.write(self._file, b"".join(key.bytes for key in keys))

    def some_before_last(self, count: int, last: int) -> list[UUID]:
        """A few ids noted by this process or one before it, none of the last ones."""
        return read_accepted(self._path)[:-last][-count:]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)


def read_accepted(path: Path) -> list[UUID]:
    """Read the ids of a file; none where there is no file, and never half of one."""
    noted = path.read_bytes() if path.exists() else b""
    whole = len(noted) // _KEY_BYTES * _KEY_BYTES
    return [UUID(bytes=noted[at : at + _KEY_BYTES]) for at in range(0, whole, _KEY_BYTES)]


def count_accepted(path: Path) -> int:
    """How many ids a file holds."""
    return path.stat().st_size // _KEY_BYTES if path.exists() else 0
