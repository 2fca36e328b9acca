"""A short way to the balance: services ask for it before every expensive call.

FastAPI's way to a route, past all others and through its own middleware, takes longer than the database takes
for a balance. The route itself, its errors and its place in the OpenAPI document are FastAPI's as ever.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from starlette.requests import Request

from meter.api.authentication import BASE_PATH
from meter.api.routes import balances
from meter.api.routes.balances import credit_pool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import FastAPI
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

#: As the router understands the route's path.
_PATH = re.compile(rf"{BASE_PATH}/credits/([^/]+)")
_ROUTE = next(route for route in balances.routes if getattr(route, "endpoint", None) is credit_pool)


class Shortcut:
    """ASGI middleware behind authentication, right before the app.

    Args:
        api: the app with all routes; what goes wrong is answered as its handlers say.
    """

    def __init__(self, api: FastAPI) -> None:
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        asked = _PATH.fullmatch(scope["path"]) if scope.get("method") == "GET" else None
        if asked is None:
            await self._api(scope, receive, send)
            return
        scope["app"], scope["route"], scope["path_params"] = self._api, _ROUTE, {"org_id": asked[1]}
        request = Request(scope, receive)
        try:
            response = await credit_pool(request)
        except Exception as error:  # noqa: BLE001 - what nobody foresaw is raised on
            response = await self._answer(error, request)
        await response(scope, receive, send)

    async def _answer(self, error: Exception, request: Request) -> Response:
        for kind in type(error).__mro__:
            # What nobody foresaw is answered, and told, by the frame around every request.
            if kind in self._api.exception_handlers and kind is not Exception:
                handler = self._api.exception_handlers[kind]
                return await cast("Callable[[Request, Exception], Awaitable[Response]]", handler)(
                    request, error
                )
        raise error
