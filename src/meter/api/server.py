"""``meter api``: the read API as a process."""

from __future__ import annotations

import asyncio
import gc
import signal
from typing import TYPE_CHECKING

from meter.api.access import Gateways
from meter.api.app import build_app
from meter.api.databases import read_databases
from meter.api.health import checks_of_databases
from meter.api.http_metrics import HttpMetrics
from meter.api.identity import identity, issuer_of
from meter.api.malformed_requests import ProblemProtocol
from meter.operations import operations_app, serving
from meter.telemetry import get_logger, process_registry

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from meter.settings import Settings

log = get_logger(__name__)


async def run_api(settings: Settings) -> None:
    """Serve the read API until SIGTERM or SIGINT; requests under way are finished, within seconds.

    The database may be away, at the start too: ``/readyz`` says so, and requests are answered 503 meanwhile.

    Args:
        settings: which database, whose tokens, which ports.

    Raises:
        ConfigurationError: the database or the issuer is not set or cannot be used, or a port is taken.
    """
    issuer = issuer_of(settings)
    registry = process_registry("api")
    stop = stop_signal()
    async with (
        read_databases(settings) as databases,
        identity(settings, issuer, databases.primary, registry) as known,
    ):
        checks = checks_of_databases(databases)
        await serve_until(
            stop,
            build_app(Gateways.of(databases), known, HttpMetrics(registry), checks),
            operations_app(checks, registry),
            host=settings.api_host,
            port=settings.api_port,
            metrics_port=settings.api_metrics_port,
        )


async def serve_until(
    stop: asyncio.Event, app: ASGIApp, operations: ASGIApp, *, host: str, port: int, metrics_port: int
) -> None:
    """Serve an API, and health and metrics on a port of their own, until told to stop.

    Args:
        stop: set when it is to end; requests under way are finished first.
        app: the API.
        operations: health and metrics.
        host: the address both listen on.
        port: of the API; 0 takes a free one.
        metrics_port: of health and metrics; 0 takes a free one.

    Raises:
        ConfigurationError: a port is taken, or the address is not of this machine.
    """
    async with (
        serving(app, host, port, protocol=ProblemProtocol) as api_port,
        serving(operations, host, metrics_port) as operations_port,
    ):
        log.info("serving", host=host, port=api_port, metrics_port=operations_port)
        _keep_what_is_loaded()
        await stop.wait()
        log.info("stopping")


def _keep_what_is_loaded() -> None:
    """Take what is there at the start, 100,000 objects, out of the search for cycles.

    Looking through it finds nothing and takes 50 ms or more, in the middle of somebody's answer.
    """
    gc.collect()
    gc.freeze()


def stop_signal() -> asyncio.Event:
    """Make an event that SIGTERM and SIGINT set; call it within the loop that waits for it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
