"""Where the next page begins, as text that callers hand back and need not understand."""

from __future__ import annotations

import base64
import binascii
import struct
from datetime import UTC, datetime, timedelta
from uuid import UUID

from meter.db.usage_history import EntryPosition

#: The first byte, so that a cursor of a later form can be told from one of this.
_VERSION = 1
#: Version, microseconds since 1970, event key, entry.
_POSITION = struct.Struct(">Bq16sh")
#: Version, number.
_NUMBER = struct.Struct(">Bq")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Longer than any cursor we make: a user id of 255 characters of four bytes, in base64.
CURSOR_MAX_CHARS = 1_400


class UnreadableCursor(ValueError):
    """The cursor was not made by this API."""


def encode_position(position: EntryPosition) -> str:
    """Write a place in the usage history."""
    micros = (position.occurred_at - _EPOCH) // timedelta(microseconds=1)
    return _text(_POSITION.pack(_VERSION, micros, position.event_key.bytes, position.entry))


def decode_position(cursor: str) -> EntryPosition:
    """Read a place in the usage history.

    Raises:
        UnreadableCursor: it is none.
    """
    try:
        version, micros, key, entry = _POSITION.unpack(_bytes(cursor))
        occurred_at = _EPOCH + timedelta(microseconds=micros)
    except (struct.error, OverflowError):
        raise UnreadableCursor from None
    if version != _VERSION:
        raise UnreadableCursor
    return EntryPosition(occurred_at, UUID(bytes=key), entry)


def encode_id(last: str) -> str:
    """Write the last id of a page."""
    return _text(bytes([_VERSION]) + last.encode())


def decode_id(cursor: str | None) -> str:
    """Read the last id of the page before; empty where there was none.

    Raises:
        UnreadableCursor: it is none.
    """
    if cursor is None:
        return ""
    raw = _bytes(cursor)
    try:
        last = raw[1:].decode()
    except UnicodeDecodeError:
        raise UnreadableCursor from None
    if raw[:1] != bytes([_VERSION]) or not last or "\x00" in last:
        raise UnreadableCursor
    return last


def encode_number(last: int) -> str:
    """Write the last number of a page."""
    return _text(_NUMBER.pack(_VERSION, last))


def decode_number(cursor: str) -> int:
    """Read the last number of the page before.

    Raises:
        UnreadableCursor: it is none.
    """
    try:
        version, last = _NUMBER.unpack(_bytes(cursor))
    except struct.error:
        raise UnreadableCursor from None
    if version != _VERSION:
        raise UnreadableCursor
    return int(last)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(cursor: str) -> bytes:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise UnreadableCursor from None
