"""The fast way: events that are plainly right are read at once, everything else is left to the exact way.

The contract is pydantic's model in ``model.py``: it publishes the schema, and it decides everything that is
not plainly right. Here one call of msgspec reads a subset of the contract into strict structs, at a sixth of
the model's cost. What is taken here means exactly what the model makes of it; nothing is refused here.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from meter.events.fields import ORG_ID_MAX_CHARS, ORG_ID_PATTERN, RESERVED_ORG_IDS, moment
from meter.events.identity import derived_key, is_event_key
from meter.events.metadata import encode_plain_metadata, plain_decimal
from meter.events.model import MESSAGE_MAX_EVENTS, KeySource
from meter.events.usage import Usage

#: How JSON writes a NUL, which PostgreSQL cannot store.
_ENCODED_NUL = b"\\u0000"
#: As a number, which bytes find three times as fast as a string of one byte.
_BACKSLASH = ord("\\")

_is_organization_id = re.compile(ORG_ID_PATTERN.removesuffix("$")).fullmatch
_is_plain_amount = re.compile(r"(?:0|[1-9][0-9]{0,13})(?:\.[0-9]{1,6})?").fullmatch
_AMOUNT_LIMIT = 10**14
_MILLION = 10**6

#: Every digit of a time becomes a zero, so that its form can be looked up.
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_PLAIN_TIMES = frozenset(
    b"0000-00-00T00:00:00" + fraction + utc
    for fraction in (b"", *(b"." + b"0" * n for n in range(1, 7)))
    for utc in (b"Z", b"+00:00")
)

_FOLDED = ("datacontenttype",)

#: Organizations and amounts recur, and looking one up costs a quarter of checking it. About 1 MB each.
_REMEMBERED = 4_096

_Name = Annotated[str, Meta(min_length=1, max_length=128)]
_Text100 = Annotated[str, Meta(min_length=1, max_length=100)]
_Text255 = Annotated[str, Meta(min_length=1, max_length=255)]
_OptionalText200 = Annotated[str, Meta(max_length=200)]
_OptionalText255 = Annotated[str, Meta(max_length=255)]


class _PlainData(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    user_id: _Text255
    service_type: _Text100
    service_name: _OptionalText200 | None = None
    # Untyped, so that a number with a point goes to the hook of the decoder as text, and through no float.
    quantity: object = None
    credits: object = None
    api_cost: object = None
    key_source: KeySource | None = None
    request_id: _OptionalText255 | None = None
    metadata: dict[str, object] | None = None


class _PlainEvent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    specversion: Literal["1.0"]
    type: Literal["meter.usage.v1"]
    id: _Name
    source: _Name
    subject: Annotated[str, Meta(max_length=ORG_ID_MAX_CHARS)]
    time: str
    data: _PlainData
    # The one unknown field that is common: the SDKs of CloudEvents write it into every event.
    datacontenttype: str | UnsetType = UNSET


_EVENT = msgspec.json.Decoder(_PlainEvent, float_hook=plain_decimal)
_BATCH = msgspec.json.Decoder(list[_PlainEvent], float_hook=plain_decimal)
#: Whatever reading can raise. Most of them are ValueErrors, the contract's own among them.
_NOT_PLAIN = (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError)


def read_plain_event(body: bytes) -> Usage | None:
    """Read one event that is plainly right.

    Args:
        body: the bytes of one event, or anything.

    Returns:
        The event as the exact way reads it; None where the exact way has to look.
    """
    if _BACKSLASH in body and _ENCODED_NUL in body:
        return None
    try:
        return _flatten(_EVENT.decode(body))
    except _NOT_PLAIN:
        return None


def read_plain_batch(body: bytes) -> list[Usage] | None:
    """Read a batch of which every event is plainly right.

    Args:
        body: the bytes of a batch, or anything.

    Returns:
        Its events as the exact way reads them; None where the exact way has to look.
    """
    if _BACKSLASH in body and _ENCODED_NUL in body:
        return None
    try:
        events = _BATCH.decode(body)
        return list(map(_flatten, events)) if 0 < len(events) <= MESSAGE_MAX_EVENTS else None
    except _NOT_PLAIN:
        return None


def _flatten(event: _PlainEvent) -> Usage:
    data = event.data
    org_id, event_id, text = event.subject, event.id, event.time
    if not _is_organization(org_id):
        raise ValueError(org_id)
    keyed_by_id = is_event_key(event_id)
    plain_time = _is_plain_time(text)
    quantity, credits, api_cost = data.quantity, data.credits, data.api_cost
    metadata, folded = data.metadata, None
    if event.datacontenttype is not UNSET:
        metadata, folded = _fold_content_type(metadata or {}, event.datacontenttype), _FOLDED
    return Usage(
        org_id,
        event_id if keyed_by_id else derived_key(event.source, event_id),
        None if keyed_by_id else event_id,
        event.source,
        data.user_id,
        data.service_type,
        data.service_name,
        _MILLION if quantity is None else _amount(quantity),
        None if credits is None else _amount(credits),
        None if api_cost is None else _amount(api_cost),
        data.key_source,
        data.request_id,
        "{}" if metadata is None else encode_plain_metadata(metadata),
        {} if metadata is None else metadata,
        text if plain_time else moment(text).isoformat(),
        folded,
    )


def _is_plain_time(text: str) -> bool:
    """Tell whether a time is in UTC and in a form that needs no more than the calendar.

    Raises:
        ValueError: the calendar or the clock has no such time.
    """
    # Newer versions of Python read 24:00 as the next day's midnight; to the contract it is no time.
    if text.encode().translate(_DIGITS_TO_ZERO) not in _PLAIN_TIMES or "T24" in text:
        return False
    datetime.fromisoformat(text)
    return text[-1] == "Z" or text.endswith("+00:00")


def _fold_content_type(metadata: dict[str, object], content_type: str) -> dict[str, object]:
    if _FOLDED[0] in metadata:
        raise ValueError(metadata)
    return {**metadata, _FOLDED[0]: content_type}


@lru_cache(_REMEMBERED)
def _is_organization(org_id: str) -> bool:
    return _is_organization_id(org_id) is not None and org_id not in RESERVED_ORG_IDS


def _amount(value: object) -> int:
    if type(value) is str:
        return _amount_of_text(value)
    if type(value) is int and 0 <= value < _AMOUNT_LIMIT:
        return value * _MILLION
    if type(value) is Decimal:
        # Twenty digits at most: exact again, even where the first step had to round what has more.
        steps = int(value.scaleb(6))
        if 0 <= steps < _AMOUNT_LIMIT * _MILLION and Decimal(steps).scaleb(-6) == value:
            return steps
    raise ValueError(value)


@lru_cache(_REMEMBERED)
def _amount_of_text(text: str) -> int:
    # Whatever passes is short, and only what passes is remembered.
    if _is_plain_amount(text) is None:
        raise ValueError(text)
    whole, _, places = text.partition(".")
    return int(whole + places.ljust(6, "0"))
