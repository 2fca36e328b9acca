"""Around every request: its id, its log line, its metrics, and the headers that every response carries."""

from __future__ import annotations

import logging
import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from uuid_utils import uuid7

from meter.api.callers import REQUEST_ID_IN_SCOPE
from meter.api.head_requests import is_head
from meter.api.problems import Kind, Problem
from meter.telemetry import correlation, get_logger

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from meter.api.http_metrics import HttpMetrics

log = get_logger(__name__)
#: Only asked whether anybody wants a line: making one for nobody takes longer than the rest of the frame.
_wanted = logging.getLogger(__name__)

#: What a caller's request id may look like: fit for a header, a log line and the database.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")

#: The API serves no page: nothing of it may be framed, run or sniffed into something else.
_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

#: Where no route was looked for (no caller) or none was found; a raw path would be a label without bound.
_NO_ROUTE = "none"


#: Where a request keeps the headers that its response gets, whoever makes it.
_HEADERS_IN_SCOPE = "meter.response_headers"


def add_response_headers(scope: Scope, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    """Put headers on the response of a request, whoever makes it.

    Args:
        scope: the request.
        headers: names in small letters, and values.
    """
    scope[_HEADERS_IN_SCOPE] = (*scope.get(_HEADERS_IN_SCOPE, ()), *headers)


def headers_of_every_response(request_id: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers that no response goes without.

    Args:
        request_id: of the request.
    """
    return ((b"x-request-id", request_id), *_SECURITY_HEADERS)


def new_request_id() -> bytes:
    """Make an id for a request that came without one."""
    return str(uuid7()).encode()


class RequestFrame:
    """ASGI middleware, the outermost.

    Args:
        app: what comes behind.
        metrics: where requests are counted.
    """

    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope[REQUEST_ID_IN_SCOPE] = request_id.decode()
        response = _Response(send, scope, request_id)
        started = time.perf_counter()
        with correlation(request_id=request_id.decode()):
            try:
                await self._app(scope, receive, response.send)
            except Exception as error:  # noqa: BLE001 - the last place that can answer
                await self._broken(error, response, scope, receive)
            finally:
                self._note(scope, response, time.perf_counter() - started)

    async def _broken(self, error: Exception, response: _Response, scope: Scope, receive: Receive) -> None:
        if response.complete:
            log.error("request failed", exc_info=error)
            return
        if response.status is not None:
            # The status is out already. Raising makes the server drop the connection, so that half an
            # answer does not look like a whole one.
            log.error("response broken off", exc_info=error)
            raise error
        log.error("request failed", exc_info=error)
        await Problem(
            Kind.INTERNAL_ERROR, "please report it with the X-Request-ID of this response"
        ).response()(scope, receive, response.send)

    def _note(self, scope: Scope, response: _Response, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", _NO_ROUTE)
        status = response.status if response.status is not None else 499
        method = "HEAD" if is_head(scope) else scope["method"]
        self._metrics.note(method, route, status, seconds)
        # Answers as they should be are counted, and written only where someone wants to see them all.
        as_it_should_be = status < HTTPStatus.BAD_REQUEST and response.complete
        if as_it_should_be and not _wanted.isEnabledFor(logging.DEBUG):
            return
        write = log.debug if as_it_should_be else log.info
        write(
            "request",
            method=method,
            route=route,
            status=status,
            complete=response.complete,
            ms=round(seconds * 1000, 1),
        )


class _Response:
    """Watches what is sent and puts the headers on it."""

    def __init__(self, send: Send, scope: Scope, request_id: bytes) -> None:
        self._send = send
        self._scope = scope
        self._headers = headers_of_every_response(request_id)
        self.status: int | None = None
        self.complete = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            added = self._scope.get(_HEADERS_IN_SCOPE, ())
            message = {**message, "headers": [*message.get("headers", ()), *self._headers, *added]}
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.complete = True


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            given: bytes = value
            return given
    return new_request_id()
