"""Which problem each refusal of a write becomes."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
from starlette.exceptions import HTTPException
from starlette.routing import Match

from meter.admin.organization_problems import OUTSPOKEN
from meter.api.problems import RETRY_AFTER_S, Kind, Problem, not_found
from meter.credits import format_amount
from meter.db.writing import WriteTookTooLong
from meter.errors import (
    AllocationExceedsPool,
    IdempotencyKeyReused,
    InsufficientCredits,
    NoAllocation,
    NotAMember,
    OrganizationClosed,
    PaymentReferenceUsed,
    RequestStillRunning,
    ReversalTooLarge,
    SettlementError,
    UnknownOrganization,
)
from meter.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

log = get_logger(__name__)

#: Seconds after which the first request with a key has most likely ended.
_RUNNING_RETRY_S = 1

#: What a route of ours can be asked with.
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

#: Refusals of which there is nothing more to say than this.
_PLAIN: dict[type[SettlementError], tuple[Kind, str]] = {
    OrganizationClosed: (Kind.ORGANIZATION_CLOSED, "nothing of a closed organization changes any more"),
    IdempotencyKeyReused: (Kind.IDEMPOTENCY_KEY_REUSED, "use a new Idempotency-Key for a new request"),
    NotAMember: (Kind.NOT_A_MEMBER, "add the user to the organization first"),
    PaymentReferenceUsed: (
        Kind.PAYMENT_REFERENCE_USED,
        "credits were added for this payment_reference before; look for it in the billing history",
    ),
}


def install_write_problem_handlers(app: FastAPI) -> None:
    """Answer the refusals of writes with problems.

    Args:
        app: the app whose errors they are.
    """
    app.add_exception_handler(SettlementError, _refused)
    app.add_exception_handler(WriteTookTooLong, _took_too_long)
    app.add_exception_handler(HTTPException, _no_route)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, SettlementError)  # noqa: S101 - what it is registered for
    return problem_of(error).response()


def problem_of(error: SettlementError) -> Problem:
    """Say a refusal of the database as a problem.

    Args:
        error: the refusal.

    Returns:
        The problem; where nobody foresaw the refusal, that the database cannot answer.
    """
    if type(error) in _PLAIN:
        kind, detail = _PLAIN[type(error)]
        return Problem(kind, detail)
    if type(error) in OUTSPOKEN:
        return Problem(OUTSPOKEN[type(error)], str(error))
    if type(error) in _TELLING:
        return _TELLING[type(error)](error)
    log.warning("write refused", sqlstate=error.sqlstate)
    return Problem(
        Kind.DATABASE_UNAVAILABLE,
        "the write cannot be made now; try again in a few seconds with the same Idempotency-Key",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


def _unknown_organization(_error: SettlementError) -> Problem:
    return not_found()


def _still_running(_error: SettlementError) -> Problem:
    return Problem(
        Kind.REQUEST_RUNNING,
        f"try again in {_RUNNING_RETRY_S} s with the same Idempotency-Key",
        headers={"Retry-After": str(_RUNNING_RETRY_S)},
    )


def _insufficient(error: SettlementError) -> Problem:
    reason = "no_allocation" if isinstance(error, NoAllocation) else error.detail
    detail = {
        "no_allocation": "the user has no active allocation",
        "allocation_exhausted": "the user's allocation has fewer credits left",
    }.get(reason or "", "the organization's pool has fewer credits left")
    return Problem(
        Kind.INSUFFICIENT_CREDITS,
        f"{detail}; nothing was written, and the same Idempotency-Key may be used again",
        facts={"reason": reason},
    )


def _exceeds_pool(error: SettlementError) -> Problem:
    facts = _amounts(error)
    return Problem(
        Kind.ALLOCATION_EXCEEDS_POOL,
        f"the pool has {facts['available']} credits that are promised to nobody else; "
        f"the highest limit that fits is {facts['largest']}",
        facts=facts,
    )


def _reversal_too_large(error: SettlementError) -> Problem:
    amounts = _amounts(error)
    return Problem(
        Kind.REVERSAL_TOO_LARGE,
        f"at most {amounts['credits']} credits and {amounts['purchase_amount']} USD can be taken back",
        facts={"largest": amounts["credits"], "largest_purchase_amount": amounts["purchase_amount"]},
    )


def _amounts(error: SettlementError) -> dict[str, str]:
    """What the database tells of sums, which may be larger than any amount that is sent."""
    told = msgspec.json.decode(error.detail or "{}", type=dict[str, str])
    return {name: format_amount(Decimal(sum_)) for name, sum_ in told.items()}


_TELLING: dict[type[SettlementError], Callable[[SettlementError], Problem]] = {
    UnknownOrganization: _unknown_organization,
    RequestStillRunning: _still_running,
    InsufficientCredits: _insufficient,
    NoAllocation: _insufficient,
    AllocationExceedsPool: _exceeds_pool,
    ReversalTooLarge: _reversal_too_large,
}


async def _took_too_long(_request: Request, _error: Exception) -> Response:
    log.warning("write took too long")
    return Problem(
        Kind.TOOK_TOO_LONG, "nothing was written; try again with the same Idempotency-Key"
    ).response()


def allowed_methods(routed: Iterable[str]) -> str:
    """Write what can be done at an address as ``Allow`` does; wherever GET is, HEAD is.

    Args:
        routed: the methods of its routes.
    """
    return ", ".join(method.upper() for method in routed).replace("GET", "GET, HEAD")


async def _no_route(request: Request, _error: Exception) -> Response:
    """The router's own: no such route, or not with this method."""
    # What is said of exactly this path goes before what has parameters: no organization is called "deduct".
    allowed = list(request.app.openapi()["paths"].get(request.url.path, ())) or [
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.router.routes
        )
    ]
    if not allowed:
        return Problem(Kind.NOT_FOUND, "there is nothing at this address").response()
    methods = allowed_methods(allowed)
    return Problem(Kind.METHOD_NOT_ALLOWED, f"here is only {methods}", headers={"Allow": methods}).response()
