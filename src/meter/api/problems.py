"""Errors as people and programs read them: RFC 9457 problem details with stable types."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

PROBLEM_MEDIA_TYPE = "application/problem+json"

#: Every type is this and the problem's kind; documented in docs/api.md and never changed.
TYPE_PREFIX = "urn:meter:problem:"

#: Seconds after which a caller may try again when the database was away.
RETRY_AFTER_S = 5


class Kind(StrEnum):
    """What went wrong, as the last part of the problem's type."""

    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    TOO_MANY_REQUESTS = "too-many-requests"
    READ_ONLY = "read-only"
    INVALID_REQUEST = "invalid-request"
    INTERNAL_ERROR = "internal-error"
    ISSUER_UNAVAILABLE = "issuer-unavailable"
    DATABASE_UNAVAILABLE = "database-unavailable"
    TOOK_TOO_LONG = "took-too-long"


#: The HTTP status that goes with each kind.
STATUS = {
    Kind.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Kind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Kind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Kind.TOO_MANY_REQUESTS: HTTPStatus.TOO_MANY_REQUESTS,
    Kind.READ_ONLY: HTTPStatus.METHOD_NOT_ALLOWED,
    Kind.INVALID_REQUEST: HTTPStatus.UNPROCESSABLE_ENTITY,
    Kind.INTERNAL_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
    Kind.ISSUER_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Kind.DATABASE_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Kind.TOOK_TOO_LONG: HTTPStatus.GATEWAY_TIMEOUT,
}
#: The kind in words, the same for every occurrence.
TITLE = {
    Kind.UNAUTHENTICATED: "A valid bearer token or API key is needed",
    Kind.FORBIDDEN: "Not allowed for this caller",
    Kind.TOO_MANY_REQUESTS: "There were too many requests within a minute",
    Kind.NOT_FOUND: "There is no such thing, or it is not yours",
    Kind.READ_ONLY: "This API only reads",
    Kind.INVALID_REQUEST: "The request cannot be understood",
    Kind.INTERNAL_ERROR: "Something went wrong on our side",
    Kind.ISSUER_UNAVAILABLE: "The issuer of tokens does not answer",
    Kind.DATABASE_UNAVAILABLE: "The database does not answer",
    Kind.TOOK_TOO_LONG: "The answer took too long",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request: where, under which name, and what it must be."""

    place: str
    name: str
    detail: str


class Problem(Exception):
    """A request that ends in a problem response.

    Args:
        kind: what went wrong.
        detail: this occurrence of it, in one sentence.
        faults: what of the request is wrong, one by one.
        headers: of the response.
    """

    def __init__(
        self,
        kind: Kind,
        detail: str,
        faults: tuple[Fault, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.faults = faults
        self.headers = headers or {}

    def response(self) -> Response:
        """Make the response."""
        body: dict[str, object] = {
            "type": TYPE_PREFIX + self.kind,
            "title": TITLE[self.kind],
            "status": int(STATUS[self.kind]),
            "detail": self.detail,
        }
        if self.faults:
            body["errors"] = self.faults
        return Response(
            msgspec.json.encode(body),
            status_code=int(STATUS[self.kind]),
            headers={"Cache-Control": "no-store", **self.headers},
            media_type=PROBLEM_MEDIA_TYPE,
        )


def not_found() -> Problem:
    """Make the one answer to an unknown organization and to somebody else's."""
    return Problem(Kind.NOT_FOUND, "no organization of yours has this id")


def invalid(place: str, name: str, detail: str) -> Problem:
    """Make the answer to one wrong value.

    Args:
        place: ``query``, ``path``, ``header`` or ``body``.
        name: of the value.
        detail: what it must be.
    """
    return Problem(Kind.INVALID_REQUEST, f"{name}: {detail}", (Fault(place, name, detail),))


def database_unavailable() -> Problem:
    """Make the answer while the database does not answer us."""
    return Problem(
        Kind.DATABASE_UNAVAILABLE,
        "the database cannot answer now; try again in a few seconds",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


def read_only() -> Problem:
    """Make the answer to every attempt to write."""
    return Problem(
        Kind.READ_ONLY,
        "meter api only reads; writes go to the control plane (meter admin)",
        headers={"Allow": "GET"},
    )
