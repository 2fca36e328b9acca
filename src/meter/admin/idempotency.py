"""Writes that happen once: the Idempotency-Key of a request, and the answer that goes with it."""

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from meter.admin.gateways import writes_of
from meter.admin.request_bodies import Asked
from meter.api.bodies import JSON, json_response, plain
from meter.api.callers import actor_of, caller_of, request_id_of
from meter.api.problems import Kind, Problem
from meter.db.authorship import Author
from meter.db.credit_changes import CreditChanges
from meter.db.keyed_requests import KeptAnswer, RequestKey

HEADER = "Idempotency-Key"
#: What the id of an event may have.
KEY_MAX_CHARS = 128
#: Visible ASCII.
KEY_PATTERN = r"^[!-~]{1,128}$"

_is_key = re.compile(KEY_PATTERN.removesuffix("$")).fullmatch
_NOT_STORED = {"Cache-Control": "no-store"}
#: On an answer that an earlier request was given.
_REPEATED = {**_NOT_STORED, "Idempotency-Replayed": "true"}
_encoder = msgspec.json.Encoder()


def idempotency_key(request: Request) -> str:
    """Take the key of a request; declare it after the dependencies that decide who may ask.

    Raises:
        Problem: there is none, more than one, or one that cannot be kept.
    """
    given = request.headers.getlist(HEADER)
    if len(given) != 1 or not _is_key(given[0]):
        raise Problem(
            Kind.IDEMPOTENCY_KEY_MISSING,
            f"send one {HEADER} of 1 to {KEY_MAX_CHARS} visible ASCII characters, such as a UUID: "
            "a new one for each write, and the same again when you try again",
        )
    return given[0]


IdempotencyKey = Annotated[str, Depends(idempotency_key)]


def author_of(request: Request) -> Author:
    """Say who makes a request, for the history."""
    return Author(actor_of(caller_of(request)), request_id_of(request))


async def answered_once(
    request: Request, org_id: str, key: str, body: Asked, change: Callable[[CreditChanges], Awaitable[object]]
) -> Response:
    """Make a change in one transaction with its answer, or answer as the first time.

    Args:
        request: the request.
        org_id: the organization that is changed.
        key: its idempotency key.
        body: what it asks.
        change: makes the change and returns the body of the answer.

    Returns:
        The answer.

    Raises:
        SettlementError: the change is refused; then the key is as new as before.
    """
    author = author_of(request)
    held = RequestKey(org_id, author.actor, request.scope["route"].path, key, _digest(body))
    async with writes_of(request).requests.begin(held) as keyed:
        if keyed.first is not None:
            return Response(keyed.first.body, keyed.first.status, _REPEATED, JSON)
        response = json_response(await change(CreditChanges(keyed.connection, author)), _NOT_STORED)
        await keyed.keep(KeptAnswer(response.status_code, bytes(response.body)))
    return response


def _digest(body: Asked) -> bytes:
    """By value: blanks, the order of fields and the notation of numbers do not make another request."""
    return hashlib.sha256(_encoder.encode(plain(body.model_dump()))).digest()
