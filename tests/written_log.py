"""The log as a process of meter writes it, for as long as a test reads it."""

from __future__ import annotations

import io
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from meter.telemetry import configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def written_log(level: str) -> Iterator[io.StringIO]:
    """Configure logging; afterwards all is as it was, for tests that listen to libraries.

    Args:
        level: from which on lines are written.

    Yields:
        The lines, as JSON.
    """
    root = logging.getLogger()
    handlers, levels = root.handlers[:], {each.name: each.level for each in _loggers()}
    configured = structlog.get_config()
    stream = io.StringIO()
    configure_logging("json", level, stream)
    try:
        yield stream
    finally:
        root.handlers[:] = handlers
        for each in _loggers():
            each.setLevel(levels.get(each.name, logging.NOTSET))
        structlog.configure(**configured)


def _loggers() -> list[logging.Logger]:
    root = logging.getLogger()
    # Those without a level of their own may not be there yet.
    return [root, *(each for each in root.manager.loggerDict.values() if isinstance(each, logging.Logger))]
