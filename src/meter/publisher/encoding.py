"""From the arguments of ``record`` to the bytes of the contract, fast enough for a request handler.

The check is made in two steps. Everything cheap and conservative happens here, in about a microsecond;
whatever does not plainly pass is judged by ``meter.events``, the contract itself: there is one set of rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Literal

import msgspec

from meter.errors import InvalidUsageEvent
from meter.events import CONTENT_TYPE_EVENT, EVENT_TYPE, decode_message

Amount = Decimal | int | str
KeySource = Literal["platform", "byok"]

#: An event this small cannot hold metadata over its limit of 8 KiB, whatever the rest of it is.
_SURELY_SMALL_BYTES = 8_000
#: How JSON writes a NUL, which PostgreSQL cannot store.
_ENCODED_NUL = b"\\u0000"
#: As a number, which bytes find three times as fast as a string of one byte.
_BACKSLASH = ord("\\")

_plain_org_id = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,35}").fullmatch
_plain_amount = re.compile(r"[0-9]{1,14}(\.[0-9]{1,6})?").fullmatch
_AMOUNT_LIMIT = 10**14
#: The contract takes numbers in metadata up to the largest double; nobody counts tokens beyond this one.
_PLAIN_INTEGER_LIMIT = 10**18
_EXACT_TYPES = frozenset({int, Decimal, str})
_RESERVED_ORG_IDS = frozenset({"user", "org", "system", "deduct"})


class UsageFields(msgspec.Struct, omit_defaults=True, gc=False):
    """The ``data`` of an event on its way out; what is absent is not written."""

    user_id: str
    service_type: str
    service_name: str | None = None
    quantity: Amount | None = None
    credits: Amount | None = None
    api_cost: Amount | None = None
    key_source: str | None = None
    request_id: str | None = None
    metadata: Mapping[str, object] | None = None


class OutgoingEvent(msgspec.Struct, gc=False):
    """A usage event on its way out, in the order of the contract."""

    id: str
    source: str
    subject: str
    time: datetime
    data: UsageFields
    specversion: str = "1.0"
    type: str = EVENT_TYPE


#: Organization, user, service and key source of events that passed; most events repeat one, and looking it up
#: takes a tenth of the time of the checks.
_seen_names: set[tuple[str, str, str, str | None, str | None]] = set()
#: About 2 MB.
_SEEN_NAMES_MAX = 10_000
#: A decimal in the metadata is a number there, too: as a string it would not be priced.
_encoder = msgspec.json.Encoder(decimal_format="number")


def encode(event: OutgoingEvent, *, own_identity: bool) -> bytes:
    """Encode an event and make sure that the contract takes it.

    Args:
        event: the event; amounts are ``Decimal``, ``int`` or ``str``, never ``float``.
        own_identity: whether its id, source and time are the publisher's own and need no check.

    Returns:
        The JSON of one CloudEvent.

    Raises:
        InvalidUsageEvent: the contract would refuse it; the message says which field and why.
    """
    try:
        encoded = _encoder.encode(event)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidUsageEvent(f"the event cannot be written as JSON: {_without_values(error)}") from None
    if not (_is_plain(event.data, event.subject, encoded) and (own_identity or _has_plain_identity(event))):
        _refuse_wrong_types(event)
        judge(encoded)
    return encoded


def judge(encoded: bytes) -> str:
    """Ask the contract about one encoded event.

    Args:
        encoded: the JSON of one CloudEvent.

    Returns:
        The organization it belongs to.

    Raises:
        InvalidUsageEvent: the contract refuses it.
    """
    decoded = decode_message(encoded, CONTENT_TYPE_EVENT)
    if decoded.refusals:
        raise InvalidUsageEvent(decoded.refusals[0].sentence)
    return decoded.events[0].org_id


def _is_plain(data: UsageFields, org_id: str, encoded: bytes) -> bool:
    # Once per event: no calls and no work beyond what the fields that are there need.
    names = (org_id, data.user_id, data.service_type, data.service_name, data.key_source)
    request_id = data.request_id
    try:
        return (
            (names in _seen_names or _are_plain_names(*names))
            and (request_id is None or (type(request_id) is str and len(request_id) <= 255))
            and (data.quantity is None or _is_plain_amount(data.quantity))
            and (data.credits is None or _is_plain_amount(data.credits))
            and (data.api_cost is None or _is_plain_amount(data.api_cost))
            and (_BACKSLASH not in encoded or _ENCODED_NUL not in encoded)
            and (data.metadata is None or _is_plain_metadata(data.metadata, encoded))
        )
    except TypeError:  # not of a type that can be looked up: the contract has the sentence for it
        return False


def _are_plain_names(
    org_id: str, user_id: str, service_type: str, service_name: str | None, key_source: str | None
) -> bool:
    plain = (
        _plain_org_id(org_id) is not None
        and org_id not in _RESERVED_ORG_IDS
        and _is_plain_text(user_id, 1, 255)
        and _is_plain_text(service_type, 1, 100)
        and (service_name is None or _is_plain_text(service_name, 0, 200))
        and (key_source is None or key_source in ("platform", "byok"))
    )
    if plain:
        if len(_seen_names) >= _SEEN_NAMES_MAX:
            _seen_names.clear()
        _seen_names.add((org_id, user_id, service_type, service_name, key_source))
    return plain


def _has_plain_identity(event: OutgoingEvent) -> bool:
    return (
        _is_plain_text(event.id, 1, 128)
        and _is_plain_text(event.source, 1, 128)
        and type(event.time) is datetime
        and event.time.tzinfo is not None
    )


def _is_plain_text(text: object, min_chars: int, max_chars: int) -> bool:
    return isinstance(text, str) and min_chars <= len(text) <= max_chars


def _is_plain_amount(amount: Amount) -> bool:
    # A float and a bool are numbers to JSON and would pass there; here their type gives them away.
    if type(amount) is int:
        return 0 <= amount < _AMOUNT_LIMIT
    return type(amount) in _EXACT_TYPES and _plain_amount(str(amount)) is not None


def _is_plain_metadata(metadata: Mapping[str, object], encoded: bytes) -> bool:
    if type(metadata) is not dict or len(encoded) > _SURELY_SMALL_BYTES:
        return False
    for value in metadata.values():
        kind = type(value)
        if kind is str or kind is bool or value is None:
            continue
        if kind is int and -_PLAIN_INTEGER_LIMIT < value < _PLAIN_INTEGER_LIMIT:
            continue
        if kind is float and isfinite(value):
            continue
        return False
    return True


def _refuse_wrong_types(event: OutgoingEvent) -> None:
    # JSON would hide them: bytes become base64, a float and a bool are numbers.
    data = event.data
    names = {
        "org_id": event.subject,
        "user_id": data.user_id,
        "service_type": data.service_type,
        "service_name": data.service_name,
        "key_source": data.key_source,
        "request_id": data.request_id,
        "id": event.id,
        "source": event.source,
    }
    for field, name in names.items():
        if name is not None and not isinstance(name, str):
            raise InvalidUsageEvent(f"{field} is a {type(name).__name__}; it must be a str")
    amounts = {"quantity": data.quantity, "credits": data.credits, "api_cost": data.api_cost}
    for field, amount in amounts.items():
        if amount is not None and type(amount) not in _EXACT_TYPES:
            raise InvalidUsageEvent(
                f"{field} is a {type(amount).__name__}; amounts are exact: give a Decimal, an int or a str"
            )
    if not _has_finite_numbers(data.metadata):
        raise InvalidUsageEvent("metadata holds NaN or Infinity, which JSON cannot")


def _has_finite_numbers(value: object) -> bool:
    # They would be written as null, or as no JSON at all.
    if isinstance(value, float | Decimal):
        return isfinite(value)
    if isinstance(value, Mapping):
        return all(map(_has_finite_numbers, value.values()))
    return not isinstance(value, list | tuple | set | frozenset) or all(map(_has_finite_numbers, value))


def _without_values(error: Exception) -> str:
    # A UnicodeEncodeError prints what it could not encode, and a log must not hold payloads.
    if isinstance(error, UnicodeError):
        return "a string holds a lone surrogate"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error)
