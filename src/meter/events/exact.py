"""One event judged by the contract's own model, which decides everything that is not plainly right."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import msgspec
from pydantic import ValidationError

from meter.events.folding import fold_unknown_fields, fold_unknown_void_fields
from meter.events.model import EVENT_TYPE, VOID_TYPE, UsageEvent
from meter.events.reasons import RefusalReason
from meter.events.sentences import explain
from meter.events.splitting import parse_leniently
from meter.events.usage import usage_of
from meter.events.void import VoidEvent, void_of

if TYPE_CHECKING:
    from meter.events.void import Event

_JSON = msgspec.json.Decoder(float_hook=Decimal)


class EventRefused(Exception):
    """The contract refuses an event.

    Attributes:
        reason: the stable code.
        sentence: which field is wrong and why, for people.
        parsed: what could be read of the event.
    """

    def __init__(self, reason: RefusalReason, sentence: str, parsed: object = None) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence
        self.parsed = parsed


def read_exactly(element: bytes | msgspec.Raw) -> Event:
    """Read one event as the contract has it.

    Args:
        element: the bytes of one event, valid UTF-8.

    Returns:
        The event, flat.

    Raises:
        EventRefused: the contract refuses it.
    """
    return _validate(_parse(element))


def _parse(element: bytes | msgspec.Raw) -> object:
    try:
        return _JSON.decode(element)
    except (msgspec.ValidationError, InvalidOperation):
        raise EventRefused(
            RefusalReason.NUMBER_OUT_OF_RANGE,
            "a number of the event has too many digits or too large an exponent",
        ) from None
    except RecursionError:
        raise EventRefused(RefusalReason.NESTED_TOO_DEEP, "the event is nested too deep to be read") from None
    except msgspec.DecodeError:
        pass
    try:
        parsed = parse_leniently(bytes(element))
    except (ValueError, RecursionError):
        raise EventRefused(RefusalReason.UNREADABLE, "the message is not JSON") from None
    raise EventRefused(RefusalReason.INVALID_EVENT, "the event must not contain a lone surrogate", parsed)


def _validate(parsed: object) -> Event:
    if not isinstance(parsed, dict):
        raise EventRefused(RefusalReason.INVALID_EVENT, "an event must be a JSON object")
    kind = parsed.get("type")
    try:
        if kind == EVENT_TYPE:
            return usage_of(UsageEvent.model_validate(fold_unknown_fields(parsed)))
        if kind == VOID_TYPE:
            return void_of(VoidEvent.model_validate(fold_unknown_void_fields(parsed)))
    except ValidationError as error:
        reason, sentence = explain(error)
        raise EventRefused(reason, sentence, parsed) from None
    raise _wrong_type(kind, parsed)


def _wrong_type(kind: object, parsed: object) -> EventRefused:
    if isinstance(kind, str):
        return EventRefused(
            RefusalReason.UNSUPPORTED_TYPE, f"type must be {EVENT_TYPE} or {VOID_TYPE}", parsed
        )
    fault = "is missing" if kind is None else "must be a string"
    return EventRefused(RefusalReason.INVALID_EVENT, f"type {fault}", parsed)
