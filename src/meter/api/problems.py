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
    MALFORMED_REQUEST = "malformed-request"
    INTERNAL_ERROR = "internal-error"
    ISSUER_UNAVAILABLE = "issuer-unavailable"
    DATABASE_UNAVAILABLE = "database-unavailable"
    TOOK_TOO_LONG = "took-too-long"
    # Of the writes.
    IDEMPOTENCY_KEY_MISSING = "idempotency-key-missing"
    INSUFFICIENT_CREDITS = "insufficient-credits"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    REQUEST_RUNNING = "request-running"
    ALLOCATION_EXCEEDS_POOL = "allocation-exceeds-pool"
    REVERSAL_TOO_LARGE = "reversal-too-large"
    PAYMENT_REFERENCE_USED = "payment-reference-used"
    NOT_A_MEMBER = "not-a-member"
    TAKEN_BACK = "taken-back"
    ORGANIZATION_CLOSED = "organization-closed"
    BODY_TOO_LARGE = "body-too-large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused"
    PRECONDITION_FAILED = "precondition-failed"
    SUBSCRIPTION_CONFLICT = "subscription-conflict"
    LAST_OWNER = "last-owner"
    SEATS_TAKEN = "seats-taken"
    MEMBER_ALREADY = "member-already"
    ORGANIZATION_TAKEN = "organization-taken"


#: The HTTP status that goes with each kind.
STATUS = {
    Kind.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Kind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Kind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Kind.TOO_MANY_REQUESTS: HTTPStatus.TOO_MANY_REQUESTS,
    Kind.READ_ONLY: HTTPStatus.METHOD_NOT_ALLOWED,
    Kind.INVALID_REQUEST: HTTPStatus.UNPROCESSABLE_ENTITY,
    Kind.MALFORMED_REQUEST: HTTPStatus.BAD_REQUEST,
    Kind.INTERNAL_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
    Kind.ISSUER_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Kind.DATABASE_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Kind.TOOK_TOO_LONG: HTTPStatus.GATEWAY_TIMEOUT,
    Kind.IDEMPOTENCY_KEY_MISSING: HTTPStatus.BAD_REQUEST,
    Kind.INSUFFICIENT_CREDITS: HTTPStatus.PAYMENT_REQUIRED,
    Kind.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    Kind.REQUEST_RUNNING: HTTPStatus.CONFLICT,
    Kind.ALLOCATION_EXCEEDS_POOL: HTTPStatus.CONFLICT,
    Kind.REVERSAL_TOO_LARGE: HTTPStatus.CONFLICT,
    Kind.PAYMENT_REFERENCE_USED: HTTPStatus.CONFLICT,
    Kind.NOT_A_MEMBER: HTTPStatus.CONFLICT,
    Kind.TAKEN_BACK: HTTPStatus.CONFLICT,
    Kind.ORGANIZATION_CLOSED: HTTPStatus.CONFLICT,
    Kind.BODY_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Kind.UNSUPPORTED_MEDIA_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Kind.IDEMPOTENCY_KEY_REUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
    Kind.PRECONDITION_FAILED: HTTPStatus.PRECONDITION_FAILED,
    Kind.SUBSCRIPTION_CONFLICT: HTTPStatus.CONFLICT,
    Kind.LAST_OWNER: HTTPStatus.CONFLICT,
    Kind.SEATS_TAKEN: HTTPStatus.CONFLICT,
    Kind.MEMBER_ALREADY: HTTPStatus.CONFLICT,
    Kind.ORGANIZATION_TAKEN: HTTPStatus.CONFLICT,
}
#: The kind in words, the same for every occurrence.
TITLE = {
    Kind.UNAUTHENTICATED: "A valid bearer token or API key is needed",
    Kind.FORBIDDEN: "Not allowed for this caller",
    Kind.TOO_MANY_REQUESTS: "There were too many requests within a minute",
    Kind.NOT_FOUND: "There is no such thing, or it is not yours",
    Kind.READ_ONLY: "This API only reads",
    Kind.INVALID_REQUEST: "The request cannot be understood",
    Kind.MALFORMED_REQUEST: "This is no HTTP request",
    Kind.INTERNAL_ERROR: "Something went wrong on our side",
    Kind.ISSUER_UNAVAILABLE: "The issuer of tokens does not answer",
    Kind.DATABASE_UNAVAILABLE: "The database does not answer",
    Kind.TOOK_TOO_LONG: "The answer took too long",
    Kind.IDEMPOTENCY_KEY_MISSING: "An Idempotency-Key is needed",
    Kind.INSUFFICIENT_CREDITS: "There are too few credits",
    Kind.METHOD_NOT_ALLOWED: "Not with this method",
    Kind.REQUEST_RUNNING: "The first request with this Idempotency-Key is still running",
    Kind.ALLOCATION_EXCEEDS_POOL: "The pool has too little left to promise",
    Kind.REVERSAL_TOO_LARGE: "More than can be taken back",
    Kind.PAYMENT_REFERENCE_USED: "Credits were added for this payment before",
    Kind.NOT_A_MEMBER: "The user is no member of the organization",
    Kind.TAKEN_BACK: "The charge was taken back",
    Kind.ORGANIZATION_CLOSED: "The organization is closed",
    Kind.BODY_TOO_LARGE: "The body is too large",
    Kind.UNSUPPORTED_MEDIA_TYPE: "The body must be JSON",
    Kind.IDEMPOTENCY_KEY_REUSED: "The Idempotency-Key came before with another request",
    Kind.PRECONDITION_FAILED: "It changed since it was read",
    Kind.SUBSCRIPTION_CONFLICT: "The subscription, as it stands, does not allow this",
    Kind.LAST_OWNER: "The organization would be without an owner",
    Kind.SEATS_TAKEN: "All seats are taken",
    Kind.MEMBER_ALREADY: "The user is a member already",
    Kind.ORGANIZATION_TAKEN: "The id or name of the organization is taken",
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
        facts: more about it for programs, by name; they stand beside the detail.
    """

    def __init__(
        self,
        kind: Kind,
        detail: str,
        faults: tuple[Fault, ...] = (),
        headers: Mapping[str, str] | None = None,
        facts: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.faults = faults
        self.headers = headers or {}
        self.facts = facts or {}

    def response(self) -> Response:
        """Make the response."""
        body: dict[str, object] = {
            "type": TYPE_PREFIX + self.kind,
            "title": TITLE[self.kind],
            "status": int(STATUS[self.kind]),
            "detail": self.detail,
            **self.facts,
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
        headers={"Allow": "GET, HEAD"},
    )
