"""A short way to what is asked most: a balance, whether it suffices, the history, the summary.

FastAPI's way to a route, past all others, through its own middleware and its search for what the route
depends on, takes longer than the database takes for a balance. The routes themselves, their errors and their
place in the OpenAPI document are FastAPI's as ever.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from meter.api import routes
from meter.api.access import own_checking_access, own_reading_access
from meter.api.authentication import BASE_PATH
from meter.api.parameters import CheckQuery, EntriesQuery, SummaryQuery
from meter.api.routes.balances import check, credit_pool
from meter.api.routes.usage import events, usage

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.routing import BaseRoute
    from starlette.types import Receive, Scope, Send

    from meter.api.admission import Access

Query = TypeVar("Query", bound=BaseModel)
_Answer = Callable[[Request, str], Awaitable[Response]]

#: As the router understands the paths of the routes; ``/credits/user/…`` is another's.
_PATH = re.compile(rf"{BASE_PATH}/credits/(?!user/)([^/]+)(/events|/usage|/check)?")


@dataclass(frozen=True, slots=True)
class _Way:
    """A route, and how it is asked about an organization."""

    route: BaseRoute
    answer: _Answer


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
        org_id, way = asked[1], _WAYS[asked[2]]
        scope["app"], scope["route"], scope["path_params"] = self._api, way.route, {"org_id": org_id}
        request = Request(scope, receive)
        try:
            response = await way.answer(request, org_id)
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


def _query_of(request: Request, model: type[Query]) -> Query:
    try:
        return model.model_validate(dict(request.query_params))
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise RequestValidationError(
            [{**fault, "loc": ("query", *fault["loc"])} for fault in faults]
        ) from None


def _with_query(
    route: Callable[[Request, Access, Query], Awaitable[Response]],
    access: Callable[[Request, str], Awaitable[Access]],
    query: type[Query],
) -> _Answer:
    async def answer(request: Request, org_id: str) -> Response:
        return await route(request, await access(request, org_id), _query_of(request, query))

    return answer


async def _pool(request: Request, _org_id: str) -> Response:
    return await credit_pool(request)


def _way(endpoint: Callable[..., Awaitable[Response]], answer: _Answer) -> _Way:
    known = (*routes.balances.routes, *routes.usage.routes)
    return _Way(next(route for route in known if getattr(route, "endpoint", None) is endpoint), answer)


#: By what follows the organization.
_WAYS = {
    None: _way(credit_pool, _pool),
    "/check": _way(check, _with_query(check, own_checking_access, CheckQuery)),
    "/events": _way(events, _with_query(events, own_reading_access, EntriesQuery)),
    "/usage": _way(usage, _with_query(usage, own_reading_access, SummaryQuery)),
}
