"""The body of a write, read once its sender is known and allowed: JSON with exact decimals, not too large."""

from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import ClientDisconnect, Request

from meter.api.problems import Fault, Kind, Problem

#: The largest body has 8 KiB of metadata; this leaves room for blanks and escapes.
BODY_MAX_BYTES = 65_536

_MEDIA_TYPE = "application/json"
_JSON = msgspec.json.Decoder(float_hook=Decimal)
#: Far beyond every count in a body; a longer number is not written out.
_WHOLE_BELOW = 2**63


def _whole(value: object) -> object:
    """JSON has one kind of number: 3.0 is 3."""
    if isinstance(value, Decimal) and -_WHOLE_BELOW < value < _WHOLE_BELOW and value == int(value):
        return int(value)
    return value


#: For a whole number in a body; stands behind its bounds, which are described only so.
WHOLE = BeforeValidator(_whole)


class Asked(BaseModel):
    """The body of a write; a field that is not known is a mistake, and not passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Body = TypeVar("Body", bound=Asked)


def body_as(model: type[Body]) -> Callable[[Request], Awaitable[Body]]:
    """Make a dependency that reads the body; declare it after those that decide who may ask.

    Args:
        model: what the body must be.

    Returns:
        The dependency. It raises a problem: too large, of another media type, or not what the model says.
    """

    async def read(request: Request) -> Body:
        raw = await _bounded(request)
        if raw and _media_type(request) != _MEDIA_TYPE:
            raise Problem(Kind.UNSUPPORTED_MEDIA_TYPE, f"send JSON: Content-Type: {_MEDIA_TYPE}")
        try:
            return model.model_validate(_parsed(raw))
        except ValidationError as error:
            faults = tuple(_fault(found, model) for found in error.errors(include_url=False))
            raise Problem(
                Kind.INVALID_REQUEST, "; ".join(f"{fault.name}: {fault.detail}" for fault in faults), faults
            ) from None

    return read


def described(model: type[Asked], example: dict[str, object]) -> dict[str, Any]:
    """Describe a body for the OpenAPI document.

    Args:
        model: what the body must be.
        example: one that is right.
    """
    content = {"schema": model.model_json_schema(), "example": example}
    return {"required": True, "content": {_MEDIA_TYPE: content}}


async def _bounded(request: Request) -> bytes:
    too_large = Problem(Kind.BODY_TOO_LARGE, f"the body must be at most {BODY_MAX_BYTES:,} bytes")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > BODY_MAX_BYTES:
        raise too_large
    raw = bytearray()
    try:
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > BODY_MAX_BYTES:
                raise too_large
    except ClientDisconnect:
        # Nobody hears this any more; it is no defect of ours, and what came of the body is not to be used.
        raise Problem(Kind.MALFORMED_REQUEST, "the body broke off") from None
    return bytes(raw)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _parsed(raw: bytes) -> dict[str, object]:
    try:
        parsed = _JSON.decode(raw)
    except (msgspec.DecodeError, InvalidOperation, ValueError, RecursionError):
        raise _no_object() from None
    if not isinstance(parsed, dict):
        raise _no_object()
    return parsed


def _no_object() -> Problem:
    detail = "must be a JSON object"
    return Problem(Kind.INVALID_REQUEST, f"the body {detail}", (Fault("body", "", detail),))


def _fault(found: ErrorDetails, model: type[Asked]) -> Fault:
    """What was sent is never repeated: a name is told only where it is one of ours."""
    name = str(found["loc"][0]) if found["loc"] else ""
    if name not in model.model_fields:
        return Fault("body", "", f"has a field that is not known; known are {', '.join(model.model_fields)}")
    return Fault("body", name, found["msg"])
