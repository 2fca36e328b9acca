"""From the bytes of a message to usage events, and to one refusal for everything that is none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import msgspec
from pydantic import ValidationError

from meter.events.fields import ORG_ID_MAX_CHARS, ORG_ID_PATTERN
from meter.events.folding import fold_unknown_fields
from meter.events.model import (
    CONTENT_TYPE_BATCH,
    CONTENT_TYPE_EVENT,
    EVENT_TYPE,
    MESSAGE_MAX_BYTES,
    MESSAGE_MAX_EVENTS,
    VOID_TYPE,
    UsageEvent,
)
from meter.events.reasons import RefusalReason
from meter.events.sentences import explain
from meter.events.splitting import NotABatch, parse_leniently, split_batch

_JSON = msgspec.json.Decoder(float_hook=Decimal)
_ORG_ID = re.compile(ORG_ID_PATTERN.removesuffix("$"))


@dataclass(frozen=True, slots=True)
class DecodedEvent:
    """A usage event and where it came from.

    Attributes:
        event: the validated event.
        element: its bytes; of a batch a view into the body, not a copy.
    """

    event: UsageEvent
    element: bytes | msgspec.Raw

    @property
    def original(self) -> bytes:
        """The exact bytes of the event as published."""
        return bytes(self.element)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that cannot be settled, and why.

    Attributes:
        reason: the stable code.
        sentence: which field is wrong and why, for people.
        original: the exact bytes of the message or of the one array element.
        org_id: the organization, where one can be read.
        event_id: the event's id, where one can be read.
        whole_message: whether `original` is the body of the message, with its content type, or an element.
    """

    reason: RefusalReason
    sentence: str
    original: bytes
    org_id: str | None = None
    event_id: str | None = None
    whole_message: bool = False


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a message holds.

    Attributes:
        events: the events that can be settled, in the order of the message.
        refusals: the elements that cannot, or one for the whole message.
    """

    events: tuple[DecodedEvent, ...] = ()
    refusals: tuple[Refusal, ...] = ()


class _Refused(Exception):
    """An event is refused."""

    def __init__(self, reason: RefusalReason, sentence: str, parsed: object = None) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence
        self.parsed = parsed


def decode_message(body: bytes, content_type: str | None) -> Decoded:
    """Decode one message of the broker. Never raises, whatever the bytes.

    A message that is unreadable or over a limit as a whole is refused whole; otherwise there is one refusal
    for each culprit with the exact bytes of its element, while its neighbours decode.

    Args:
        body: the message as it came.
        content_type: its content type; parameters and case do not matter.

    Returns:
        The events and the refusals.
    """
    if len(body) > MESSAGE_MAX_BYTES:
        return _refuse_whole(
            body, RefusalReason.MESSAGE_TOO_LARGE, f"the message must be at most {MESSAGE_MAX_BYTES:,} bytes"
        )
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type not in (CONTENT_TYPE_EVENT, CONTENT_TYPE_BATCH):
        return _refuse_whole(
            body,
            RefusalReason.UNSUPPORTED_CONTENT_TYPE,
            f"the content type must be {CONTENT_TYPE_EVENT} or {CONTENT_TYPE_BATCH}",
        )
    if not _is_utf8(body):
        return _refuse_whole(body, RefusalReason.UNREADABLE, "the message is not valid UTF-8")
    if media_type == CONTENT_TYPE_BATCH:
        return _decode_batch(body)
    outcome = _decode_event(body, whole_message=True)
    return Decoded(refusals=(outcome,)) if isinstance(outcome, Refusal) else Decoded(events=(outcome,))


def _decode_batch(body: bytes) -> Decoded:
    try:
        elements = split_batch(body, MESSAGE_MAX_EVENTS)
    except NotABatch:
        return _refuse_whole(body, RefusalReason.UNREADABLE, "the message is not a JSON array of events")
    if not elements:
        return _refuse_whole(body, RefusalReason.BATCH_EMPTY, "the batch must hold at least one event")
    if len(elements) > MESSAGE_MAX_EVENTS:
        return _refuse_whole(
            body, RefusalReason.BATCH_TOO_LARGE, f"the batch must hold at most {MESSAGE_MAX_EVENTS:,} events"
        )
    outcomes = [_decode_event(element, whole_message=False) for element in elements]
    return Decoded(
        events=tuple(outcome for outcome in outcomes if isinstance(outcome, DecodedEvent)),
        refusals=tuple(outcome for outcome in outcomes if isinstance(outcome, Refusal)),
    )


def _decode_event(element: bytes | msgspec.Raw, *, whole_message: bool) -> DecodedEvent | Refusal:
    try:
        return DecodedEvent(_validate(_parse(element)), element)
    except _Refused as refused:
        org_id, event_id = _identify(refused.parsed)
        return Refusal(
            refused.reason, refused.sentence, bytes(element), org_id, event_id, whole_message=whole_message
        )


def _parse(element: bytes | msgspec.Raw) -> object:
    try:
        return _JSON.decode(element)
    except (msgspec.ValidationError, InvalidOperation):
        raise _Refused(
            RefusalReason.NUMBER_OUT_OF_RANGE,
            "a number of the event has too many digits or too large an exponent",
        ) from None
    except RecursionError:
        raise _Refused(RefusalReason.NESTED_TOO_DEEP, "the event is nested too deep to be read") from None
    except msgspec.DecodeError:
        pass
    try:
        parsed = parse_leniently(bytes(element))
    except (ValueError, RecursionError):
        raise _Refused(RefusalReason.UNREADABLE, "the message is not JSON") from None
    raise _Refused(RefusalReason.INVALID_EVENT, "the event must not contain a lone surrogate", parsed)


def _validate(parsed: object) -> UsageEvent:
    if not isinstance(parsed, dict):
        raise _Refused(RefusalReason.INVALID_EVENT, "an event must be a JSON object")
    kind = parsed.get("type")
    if kind != EVENT_TYPE:
        raise _wrong_type(kind, parsed)
    try:
        return UsageEvent.model_validate(fold_unknown_fields(parsed))
    except ValidationError as error:
        reason, sentence = explain(error)
        raise _Refused(reason, sentence, parsed) from None


def _wrong_type(kind: object, parsed: object) -> _Refused:
    if kind == VOID_TYPE:
        return _Refused(
            RefusalReason.UNSUPPORTED,
            "this version of meter does not take events back yet; replay this one after an upgrade",
            parsed,
        )
    if isinstance(kind, str):
        return _Refused(RefusalReason.UNSUPPORTED_TYPE, f"type must be {EVENT_TYPE} or {VOID_TYPE}", parsed)
    fault = "is missing" if kind is None else "must be a string"
    return _Refused(RefusalReason.INVALID_EVENT, f"type {fault}", parsed)


def _identify(parsed: object) -> tuple[str | None, str | None]:
    """Read organization and id of a refused event, each only where it keeps to the contract itself."""
    if not isinstance(parsed, dict):
        return None, None
    org_id, event_id = parsed.get("subject"), parsed.get("id")
    known = isinstance(org_id, str) and len(org_id) <= ORG_ID_MAX_CHARS and _ORG_ID.fullmatch(org_id)
    named = isinstance(event_id, str) and 0 < len(event_id) <= 128 and event_id.isprintable()
    return org_id if known else None, event_id if named else None


def _refuse_whole(body: bytes, reason: RefusalReason, sentence: str) -> Decoded:
    return Decoded(refusals=(Refusal(reason, sentence, body, whole_message=True),))


def _is_utf8(body: bytes) -> bool:
    if body.isascii():
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
