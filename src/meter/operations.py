"""The small HTTP side of a process: is it alive, is it ready and why not, and its metrics."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from meter.errors import ConfigurationError
from meter.telemetry import first_line, get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request
    from starlette.types import ASGIApp

#: Answers None when all is well, else why not, in one sentence.
Check = Callable[[], Awaitable[str | None]]

#: How long one check may take, in seconds; below the 1 to 3 s that orchestrators wait for a probe.
CHECK_TIMEOUT_S = 2.0
#: How long open requests are waited for when the process ends, in seconds.
SHUTDOWN_TIMEOUT_S = 2

log = get_logger(__name__)


async def readiness(checks: Mapping[str, Check]) -> dict[str, str | None]:
    """Run all checks at once.

    Args:
        checks: the checks by name.

    Returns:
        By name: None, or why the process is not ready; a check that breaks or takes too long says so.
    """
    answers = await asyncio.gather(*(_answer(check) for check in checks.values()))
    return dict(zip(checks, answers, strict=True))


async def readiness_response(checks: Mapping[str, Check]) -> JSONResponse:
    """Answer a readiness probe: 200, or 503 with the reason of every check that fails.

    Args:
        checks: the checks by name.
    """
    answers = await readiness(checks)
    ready = not any(answers.values())
    body = {"ready": ready, "checks": {name: reason or "ok" for name, reason in answers.items()}}
    return JSONResponse(body, status_code=200 if ready else 503)


def operations_app(checks: Mapping[str, Check], registry: CollectorRegistry) -> Starlette:
    """Build the app with ``/livez``, ``/readyz`` and ``/metrics``.

    Args:
        checks: what must hold for the process to be ready, by name.
        registry: the metrics to show.

    Returns:
        An ASGI app, to be served by :func:`serving`.
    """

    async def livez(_request: Request) -> Response:
        return JSONResponse({"alive": True})

    async def readyz(_request: Request) -> Response:
        return await readiness_response(checks)

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)])


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp, host: str, port: int, *, protocol: type[asyncio.Protocol] = H11Protocol
) -> AsyncIterator[int]:
    """Serve an ASGI app from the running event loop while the block runs.

    Args:
        app: the app.
        host: the address to listen on.
        port: the port; 0 takes a free one.
        protocol: speaks HTTP on each connection.

    Yields:
        The port it listens on.

    Raises:
        ConfigurationError: the address is taken or not of this machine.
    """
    listener = _listen(host, port)
    server = _Server(
        uvicorn.Config(
            app,
            http=protocol,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
            lifespan="off",
        )
    )
    serve = asyncio.create_task(server.serve(sockets=[listener]), name=f"http {host}:{port}")
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await serve


class _Server(uvicorn.Server):
    """A server that leaves signals to the process it runs in."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    try:
        listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host} port {port}: {first_line(error)}") from error
    # Connections inherit it; asyncio, unlike uvloop, leaves it out for a socket that names no protocol. Then
    # a body waits for the acknowledgement of its headers: 40 ms a request on a connection that is kept.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


async def _answer(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_S:g} s"
    except Exception as error:
        # A check that breaks is a reason, not a crash.
        log.debug("readiness check failed", exc_info=error)
        return f"{type(error).__name__}: {first_line(error)}"
