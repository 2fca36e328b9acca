"""Logs and the metrics every process shares.

Log lines never carry a payload or a secret: fields that could are cut out by name, credentials inside a text
by pattern, and of an error only its class, its first line and where it came from are written, because the
rest (PostgreSQL's DETAIL, pydantic's input) repeats what was published.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TextIO

import structlog
from prometheus_client import CollectorRegistry, GCCollector, Info, PlatformCollector, ProcessCollector

from meter import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]

REDACTED = "[redacted]"

#: Names of fields whose value is a secret or was published by a customer.
_UNSPEAKABLE = re.compile(
    r"(?i)(passw|secret|token|authorization|cookie|api_?key|private_?key|dsn|body|payload|original|metadata)"
)
#: ``scheme://user:password@host``: the password is cut out.
_URL_CREDENTIALS = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s/]*@")
#: A bearer token or a bare JSON Web Token.
_BEARER = re.compile(r"(?i)\bbearer\s+\S+|\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*")

#: How much of an error's own words is written, in characters.
_ERROR_TEXT_MAX = 300

#: Libraries whose failures meter reports itself, once, in its own words; httpx has a line for every request.
_QUIET_LOGGERS = {
    "aiormq": logging.CRITICAL,
    "aio_pika": logging.CRITICAL,
    "uvicorn": logging.WARNING,
    "httpx": logging.WARNING,
}


def configure_logging(
    log_format: LogFormat = "auto", log_level: LogLevel = "info", stream: TextIO | None = None
) -> None:
    """Send the logs of this process, the libraries' included, to one stream.

    Args:
        log_format: ``json`` is one object a line, ``console`` is for eyes, ``auto`` is console on a terminal.
        log_level: the least severe level that is written.
        stream: where to; standard error where absent.
    """
    target = stream if stream is not None else sys.stderr
    console = log_format == "console" or (log_format == "auto" and target.isatty())
    level = getattr(logging, log_level.upper())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _describe_error,
        redact,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.dev.ConsoleRenderer(colors=target.isatty())
                if console
                else structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, quiet in _QUIET_LOGGERS.items():
        logging.getLogger(name).setLevel(max(quiet, level))


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of one module.

    Args:
        name: the module's name.
    """
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


@contextmanager
def correlation(**ids: str | None) -> Iterator[None]:
    """Put ids (``correlation_id``, ``request_id``, …) on every log line written inside the block.

    Args:
        ids: the fields; None leaves one out.
    """
    # The library's own form of this looks through all of the context, at every request.
    before = structlog.contextvars.bind_contextvars(**{k: v for k, v in ids.items() if v is not None})
    try:
        yield
    finally:
        structlog.contextvars.reset_contextvars(**before)


def redact(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Cut secrets and payloads out of a log line; the structlog processor behind every logger.

    Args:
        event_dict: the fields of the line, changed in place.

    Returns:
        The same fields, fit to be written.
    """
    for key in event_dict:
        event_dict[key] = REDACTED if _UNSPEAKABLE.search(key) else _clean(event_dict[key])
    return event_dict


def redact_text(text: str) -> str:
    """Cut passwords of URLs and bearer tokens out of a text.

    Args:
        text: any text that will be shown.

    Returns:
        The text without them.
    """
    return _BEARER.sub(REDACTED, _URL_CREDENTIALS.sub(r"\1:***@", text))


def first_line(error: BaseException) -> str:
    """Say an error in one line that is safe to log or to show.

    Args:
        error: what was raised.

    Returns:
        The first line of its message, shortened, without credentials; the class where it has no message.
    """
    lines = str(error).splitlines()
    text = lines[0] if lines else type(error).__name__
    return redact_text(text)[:_ERROR_TEXT_MAX]


def process_registry(role: str) -> CollectorRegistry:
    """Make the metrics registry of a process: memory, CPU, file descriptors, garbage collection, version.

    Args:
        role: what this process is, for instance ``worker``.

    Returns:
        A registry of its own, so that two processes' worth of metrics can live in one test run.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    Info("meter_build", "The running version of meter.", registry=registry).info(
        {"version": __version__, "role": role}
    )
    return registry


def _clean(value: object) -> object:
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, dict):
        return {k: REDACTED if _UNSPEAKABLE.search(str(k)) else _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {first_line(value)}"
    return value


def _describe_error(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Replace ``exc_info`` by the error's class, first line and the frames it passed."""
    error = _error_of(event_dict.pop("exc_info", None))
    if error is not None:
        event_dict["error"] = type(error).__name__
        event_dict["error_text"] = first_line(error)
        event_dict["error_at"] = _frames(error.__traceback__)
    return event_dict


def _error_of(exc_info: ExcInfo | BaseException | bool | None) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1]
    return sys.exc_info()[1] if exc_info else None


def _frames(tb: TracebackType | None) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(tb)]
