"""Who is asking comes first: under the base path nothing is looked at before the caller is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meter.api.callers import CALLER_IN_SCOPE
from meter.api.issuer_keys import IssuerUnavailable
from meter.api.key_sets import KeyNotKnown, TokenRefused
from meter.api.problems import RETRY_AFTER_S, Kind, Problem, database_unavailable
from meter.api.readers import reader_of
from meter.db.key_secrets import KEY_BEGINS
from meter.db.reader import reading_for
from meter.db.reading import ReadTookTooLong
from meter.db.refusals import DatabaseNotReachable
from meter.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from meter.api.caller_limits import CallerLimits
    from meter.api.callers import Caller
    from meter.api.issuer_keys import IssuerKeys
    from meter.api.service_keys import ServiceKeys
    from meter.api.tokens import Tokens

log = get_logger(__name__)

BASE_PATH = "/api/v1/org-billing"


@dataclass(frozen=True, slots=True)
class Identity:
    """All that tells who is asking and how often they may."""

    tokens: Tokens
    services: ServiceKeys
    limits: CallerLimits
    #: The issuer's keys, where they are fetched from it and not read from a file.
    renewable: IssuerKeys | None = None
    #: Whose pages may call the API.
    cors_origins: tuple[str, ...] = ()


class Authentication:
    """ASGI middleware that lets only known callers through to the base path, and each only so often.

    Args:
        app: what comes behind.
        identity: who is known, and how often each may ask.
    """

    def __init__(self, app: ASGIApp, identity: Identity) -> None:
        self._app = app
        self._identity = identity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and _is_protected(scope["path"]):
            try:
                scope[CALLER_IN_SCOPE] = caller = await self._caller(scope)
                await self._identity.limits.spend(caller, scope)
            except Problem as problem:
                await problem.response()(scope, receive, send)
                return
        with reading_for(reader_of(scope.get(CALLER_IN_SCOPE))):
            await self._app(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller:
        try:
            return await self._known(_credential(scope["headers"]))
        except TokenRefused as refused:
            await self._identity.limits.spend_failure(scope)
            raise _challenge(str(refused)) from None
        except NothingShown:
            await self._identity.limits.spend_failure(scope)
            raise _invitation() from None
        except IssuerUnavailable as error:
            raise Problem(
                Kind.ISSUER_UNAVAILABLE, str(error), headers={"Retry-After": str(RETRY_AFTER_S)}
            ) from None
        except (DatabaseNotReachable, ReadTookTooLong) as error:
            log.warning("API key not looked up", reason=str(error))
            raise database_unavailable() from error

    async def _known(self, credential: str) -> Caller:
        if credential.startswith(KEY_BEGINS):
            return await self._identity.services.caller(credential)
        try:
            return self._identity.tokens.caller(credential)
        except KeyNotKnown:
            if self._identity.renewable is None:
                raise
            await self._identity.renewable.renew()
            return self._identity.tokens.caller(credential)


class NothingShown(Exception):
    """The request carries no credential at all."""


def _is_protected(path: str) -> bool:
    return path == BASE_PATH or path.startswith(BASE_PATH + "/")


def _credential(headers: Iterable[tuple[bytes, bytes]]) -> str:
    given = [value for name, value in headers if name == b"authorization"]
    if not given:
        raise NothingShown
    if len(given) > 1:
        raise TokenRefused("there is more than one Authorization header")
    scheme, _, credential = given[0].decode("latin-1").partition(" ")
    if scheme.lower() != "bearer":
        raise TokenRefused("the Authorization header is not of the Bearer scheme")
    return credential.strip()


def _invitation() -> Problem:
    return Problem(
        Kind.UNAUTHENTICATED,
        "send a bearer token or an API key: Authorization: Bearer …",
        headers={"WWW-Authenticate": 'Bearer realm="meter"'},
    )


def _challenge(reason: str) -> Problem:
    return Problem(
        Kind.UNAUTHENTICATED,
        reason,
        headers={
            "WWW-Authenticate": f'Bearer realm="meter", error="invalid_token", error_description="{reason}"'
        },
    )
