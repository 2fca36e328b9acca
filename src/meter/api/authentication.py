"""Who is asking comes first: under the base path nothing is looked at before the caller is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meter.api.callers import CALLER_IN_SCOPE
from meter.api.problems import Kind, Problem
from meter.api.readers import reader_of
from meter.api.tokens import TokenRefused, Tokens
from meter.db.reader import reading_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

BASE_PATH = "/api/v1/org-billing"


class Authentication:
    """ASGI middleware that lets only known callers through to the base path.

    Args:
        app: what comes behind.
        tokens: checks the bearer token.
    """

    def __init__(self, app: ASGIApp, tokens: Tokens) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and _is_protected(scope["path"]):
            try:
                scope[CALLER_IN_SCOPE] = self._tokens.caller(_bearer_token(scope["headers"]))
            except TokenRefused as refused:
                await _challenge(str(refused)).response()(scope, receive, send)
                return
            except Problem as problem:
                await problem.response()(scope, receive, send)
                return
        with reading_for(reader_of(scope.get(CALLER_IN_SCOPE))):
            await self._app(scope, receive, send)


def _is_protected(path: str) -> bool:
    return path == BASE_PATH or path.startswith(BASE_PATH + "/")


def _bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> str:
    given = [value for name, value in headers if name == b"authorization"]
    if not given:
        raise Problem(
            Kind.UNAUTHENTICATED,
            "send a bearer token: Authorization: Bearer …",
            headers={"WWW-Authenticate": 'Bearer realm="meter"'},
        )
    if len(given) > 1:
        raise TokenRefused("there is more than one Authorization header")
    scheme, _, token = given[0].decode("latin-1").partition(" ")
    if scheme.lower() != "bearer":
        raise TokenRefused("the Authorization header is not of the Bearer scheme")
    return token.strip()


def _challenge(reason: str) -> Problem:
    return Problem(
        Kind.UNAUTHENTICATED,
        reason,
        headers={
            "WWW-Authenticate": f'Bearer realm="meter", error="invalid_token", error_description="{reason}"'
        },
    )
