"""What both APIs log of requests that they could not answer, so that a failure tells its cause."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
from structlog.testing import capture_logs

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from structlog.typing import EventDict, WrappedLogger


class FaultLog:
    """The lines of requests that ended in a fault of ours.

    Args:
        lines: as they are logged.
    """

    def __init__(self, lines: list[MutableMapping[str, object]]) -> None:
        self._lines = lines

    def of(self, said: str) -> str:
        """The lines of all requests whose id stands in a text."""
        return "\n".join(_written(line) for line in self._lines if str(line.get("request_id")) in said)


@contextmanager
def fault_log() -> Iterator[FaultLog]:
    """Keep the lines of faults while the block runs; all others are dropped, tens of thousands of them."""
    with capture_logs(processors=[structlog.contextvars.merge_contextvars, _only_faults]) as lines:
        yield FaultLog(lines)


def _only_faults(_logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
    if method in ("warning", "error") or line.get("status", 0) >= 500:
        return line
    raise structlog.DropEvent


def _written(line: MutableMapping[str, object]) -> str:
    error = line.get("exc_info")
    told = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else ""
    return f"{ {name: value for name, value in line.items() if name != 'exc_info'} }\n{told}"
