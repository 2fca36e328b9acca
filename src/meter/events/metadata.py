"""Metadata of an event: what a service adds of its own, held to what PostgreSQL's jsonb can keep exactly."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from meter.events.fields import refused
from meter.events.reasons import RefusalReason

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Bytes of compact JSON in UTF-8, unknown fields folded in. Every event keeps its metadata for ever.
METADATA_MAX_BYTES = 8_192
#: Levels of objects and lists, the metadata object being the first: usage has few, and reading them recurses.
METADATA_MAX_DEPTH = 32
#: Powers of ten of the largest and the finest number: every double passes, and jsonb keeps far more exactly.
NUMBER_MAX_EXPONENT, NUMBER_MIN_EXPONENT = 308, -324

_INTEGER_LIMIT = 10 ** (NUMBER_MAX_EXPONENT + 1)
_SIMPLE = frozenset({str, bool, type(None)})
#: As a number, which bytes find faster than a string of one byte.
_BRACKET = ord("[")
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def encode_metadata(metadata: Mapping[str, object]) -> bytes:
    """Write metadata as compact JSON in UTF-8, decimals as the numbers they are.

    Args:
        metadata: of a validated event.

    Returns:
        The JSON whose length counts against `METADATA_MAX_BYTES`.
    """
    return _ENCODER.encode(metadata)


def plain_decimal(literal: str) -> Decimal:
    """Read a number of the JSON text that has a point or an exponent.

    Args:
        literal: as it is written.

    Returns:
        The number, one that metadata may hold.

    Raises:
        ValueError: only `exact_metadata` can tell what is wrong with it.
        InvalidOperation: its exponent has too many digits.
    """
    value = Decimal(literal)
    if NUMBER_MIN_EXPONENT <= value.adjusted() <= NUMBER_MAX_EXPONENT:
        return value
    raise ValueError(literal)


def encode_plain_metadata(metadata: dict[str, object]) -> str:
    """Write metadata where that needs no more than a glance.

    Args:
        metadata: what the JSON decoder made of a text without NUL, its decimals read by `plain_decimal`.

    Returns:
        What `encode_metadata` writes.

    Raises:
        ValueError: only `exact_metadata` can tell whether it is right.
    """
    encoded = _ENCODER.encode(metadata)
    # Flat, where no bracket is seen, not even in a string; and no integer of so short a text is too large.
    plain = len(encoded) <= NUMBER_MAX_EXPONENT and _BRACKET not in encoded and encoded.rfind(b"{") == 0
    if plain or (len(encoded) <= METADATA_MAX_BYTES and _is_plain(metadata)):
        return encoded.decode()
    raise ValueError("the metadata is not plain")


def exact_metadata(value: object) -> dict[str, object]:
    """Check metadata; absent and JSON's null are an empty object.

    Args:
        value: what the JSON decoder or a caller on the publishing side made of it.

    Returns:
        The same object, floats of a publishing caller turned into the decimals they will be read back as.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refused("must be an object")
    checked = value if _is_plain(value) else _exact_object(value, 1)
    try:
        encoded = encode_metadata(checked)
    except UnicodeEncodeError:
        raise refused("must not contain a lone surrogate") from None
    if len(encoded) > METADATA_MAX_BYTES:
        raise refused(
            "must be at most 8,192 bytes of compact JSON, unknown fields included",
            RefusalReason.METADATA_TOO_LARGE,
        )
    # The escape can also be a backslash followed by "u0000": only then the strings have to be looked at.
    if b"\\u0000" in encoded and _holds_nul(checked):
        raise refused("must not contain a NUL character")
    return checked


def _is_plain(metadata: dict[str, object]) -> bool:
    """Tell whether nothing is nested and no number needs a look, as in nearly all events."""
    for key, value in metadata.items():
        kind = type(value)
        if type(key) is not str:
            return False
        if kind in _SIMPLE:
            continue
        if kind is int and -_INTEGER_LIMIT < value < _INTEGER_LIMIT:
            continue
        if not (isinstance(value, Decimal) and _is_storable(value)):
            return False
    return True


def _exact_object(value: dict[object, object], depth: int) -> dict[str, object]:
    if depth > METADATA_MAX_DEPTH:
        raise _too_deep()
    checked: dict[str, object] = {}
    for key, inner in value.items():
        if not isinstance(key, str):
            raise refused("must have only strings as keys")
        checked[key] = _exact(inner, depth + 1)
    return checked


def _exact(value: object, depth: int) -> object:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | Decimal | float):
        return _exact_number(value)
    if isinstance(value, dict):
        return _exact_object(value, depth)
    if isinstance(value, list | tuple):
        if depth > METADATA_MAX_DEPTH:
            raise _too_deep()
        return [_exact(item, depth + 1) for item in value]
    raise refused("must hold only strings, numbers, true, false, null, lists and objects")


def _exact_number(value: float | Decimal) -> int | Decimal:
    if isinstance(value, int):
        if -_INTEGER_LIMIT < value < _INTEGER_LIMIT:
            return value
        raise _out_of_range()
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _out_of_range()
        # What a float is written as, and therefore what the other side reads.
        value = Decimal(repr(value))
    if not _is_storable(value):
        raise _out_of_range()
    return value


def _is_storable(value: Decimal) -> bool:
    # Digits need no limit of their own: 8 KiB of them from 1e-324 on are still within jsonb's 16,383 places.
    return value.is_finite() and NUMBER_MIN_EXPONENT <= value.adjusted() <= NUMBER_MAX_EXPONENT


def _too_deep() -> Exception:
    return refused(f"must not nest more than {METADATA_MAX_DEPTH} levels", RefusalReason.NESTED_TOO_DEEP)


def _out_of_range() -> Exception:
    return refused(
        "must hold only finite numbers of a size between 1e-324 and 1e308",
        RefusalReason.NUMBER_OUT_OF_RANGE,
    )


def _holds_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in key or _holds_nul(inner) for key, inner in value.items())
    return isinstance(value, list) and any(map(_holds_nul, value))
