"""HEAD: what GET would answer, without its body (RFC 9110, 9.3.2), wherever there is a GET."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from typing import Any

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEAD_IN_SCOPE = "meter.head"


def is_head(scope: Mapping[str, Any]) -> bool:
    """Say whether a request that looks like GET asks for the headers only.

    Args:
        scope: the request.
    """
    return _HEAD_IN_SCOPE in scope


class HeadRequests:
    """ASGI middleware around all others: to them HEAD is GET, so callers, limits and headers are the same.

    Args:
        app: what comes behind.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            await send(_without_body(message))

        # The server's own scope stays as it is: it goes by it to send no body.
        await self._app({**scope, "method": "GET", _HEAD_IN_SCOPE: True}, receive, send_without_body)


def _without_body(message: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {**message, "body": b""} if message["type"] == "http.response.body" else message
