"""From the bytes of a message to usage events, and to one refusal for everything that is none.

What is plainly right is read at once by ``plain.py``; where it declines, ``exact.py`` looks at each element.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meter.events.decoded import Decoded, Refusal
from meter.events.exact import EventRefused, read_exactly
from meter.events.fields import ORG_ID_MAX_CHARS, ORG_ID_PATTERN
from meter.events.model import CONTENT_TYPE_BATCH, CONTENT_TYPE_EVENT, MESSAGE_MAX_BYTES, MESSAGE_MAX_EVENTS
from meter.events.plain import read_plain_batch, read_plain_event
from meter.events.reasons import RefusalReason
from meter.events.splitting import NotABatch, split_batch

if TYPE_CHECKING:
    import msgspec

    from meter.events.void import Event

_MEDIA_TYPES = frozenset({CONTENT_TYPE_EVENT, CONTENT_TYPE_BATCH})
_NOT_UTF8 = "the message is not valid UTF-8"
_ORG_ID = re.compile(ORG_ID_PATTERN.removesuffix("$"))


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
    media_type = content_type if content_type in _MEDIA_TYPES else _media_type(content_type)
    if media_type == CONTENT_TYPE_EVENT:
        return _decode_single(body)
    if media_type == CONTENT_TYPE_BATCH:
        return _decode_batch(body)
    return _refuse_whole(
        body,
        RefusalReason.UNSUPPORTED_CONTENT_TYPE,
        f"the content type must be {CONTENT_TYPE_EVENT} or {CONTENT_TYPE_BATCH}",
    )


def _media_type(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()


def _decode_single(body: bytes) -> Decoded:
    plain = read_plain_event(body)
    if plain is not None:
        return Decoded((plain,), (), body)
    if not _is_utf8(body):
        return _refuse_whole(body, RefusalReason.UNREADABLE, _NOT_UTF8)
    outcome = _decode_exactly(body, whole_message=True)
    return Decoded((), (outcome,), body) if isinstance(outcome, Refusal) else Decoded((outcome,), (), body)


def _decode_batch(body: bytes) -> Decoded:
    plain = read_plain_batch(body)
    if plain is not None:
        return Decoded(plain, (), body, batch=True)
    if not _is_utf8(body):
        return _refuse_whole(body, RefusalReason.UNREADABLE, _NOT_UTF8)
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
    events: list[Event] = []
    refusals: list[Refusal] = []
    places: list[int] = []
    for place, element in enumerate(elements):
        outcome = read_plain_event(bytes(element)) or _decode_exactly(element, whole_message=False)
        if isinstance(outcome, Refusal):
            refusals.append(outcome)
        else:
            events.append(outcome)
            places.append(place)
    return Decoded(events, tuple(refusals), body, batch=True, places=places if refusals else None)


def _decode_exactly(element: bytes | msgspec.Raw, *, whole_message: bool) -> Event | Refusal:
    try:
        return read_exactly(element)
    except EventRefused as refused:
        org_id, event_id = _identify(refused.parsed)
        return Refusal(
            refused.reason, refused.sentence, bytes(element), org_id, event_id, whole_message=whole_message
        )


def _identify(parsed: object) -> tuple[str | None, str | None]:
    """Read organization and id of a refused event, each only where it keeps to the contract itself."""
    if not isinstance(parsed, dict):
        return None, None
    org_id, event_id = parsed.get("subject"), parsed.get("id")
    known = isinstance(org_id, str) and len(org_id) <= ORG_ID_MAX_CHARS and _ORG_ID.fullmatch(org_id)
    named = isinstance(event_id, str) and 0 < len(event_id) <= 128 and event_id.isprintable()
    return org_id if known else None, event_id if named else None


def _refuse_whole(body: bytes, reason: RefusalReason, sentence: str) -> Decoded:
    return Decoded((), (Refusal(reason, sentence, body, whole_message=True),), body)


def _is_utf8(body: bytes) -> bool:
    if body.isascii():
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
