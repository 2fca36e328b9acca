"""What the worker wants to know of a message's properties, read from the bytes of its header.

The broker passes properties on without looking at them, so they can hold anything; a library that cannot
decode them gives up the connection, and gets the same message on the next. Here only three things are
looked for, and what cannot be read counts as absent.
"""

from __future__ import annotations

from struct import Struct, error

from meter.consumers.deliveries import PUBLISHED_AT_HEADER
from meter.events import CONTENT_TYPE_BATCH, CONTENT_TYPE_EVENT

_PUBLISHED_AT = PUBLISHED_AT_HEADER.encode()
#: Set by quorum queues: how often the message was delivered before. Since RabbitMQ 4.3 the first counts only
#: deliveries that failed, and the second all of them.
_DELIVERY_COUNT = b"x-delivery-count"
_ACQUIRED_COUNT = b"x-acquired-count"
_WANTED = frozenset((_PUBLISHED_AT, _DELIVERY_COUNT, _ACQUIRED_COUNT))

#: Bits of the property flags, in the order in which the properties follow.
_CONTENT_TYPE = 1 << 15
_CONTENT_ENCODING = 1 << 14
_HEADERS = 1 << 13
_MORE_FLAGS = 1

_UINT16 = Struct(">H")
_UINT32 = Struct(">I")
_INT64 = Struct(">q")
#: Whole numbers in a table of headers, by the letter of their type.
_INTEGERS = {
    ord(letter): Struct(">" + layout)
    for letter, layout in {
        "b": "b", "B": "B", "s": "h", "u": "H", "I": "i", "i": "I", "l": "q", "L": "q",
    }.items()
}  # fmt: skip
#: Other values, by the bytes they take: truth, float, double, decimal, time, nothing.
_PASSED_OVER = {ord("t"): 1, ord("f"): 4, ord("d"): 8, ord("D"): 5, ord("T"): 8, ord("V"): 0, 0: 0}
#: Values that begin with their length: text, array, table, bytes.
_WITH_LENGTH = frozenset(b"SAFx")

#: Headers with nothing but the time of publishing, up to that number.
_ONLY_PUBLISHED_AT = b"%b%c%bl" % (
    _UINT32.pack(1 + len(_PUBLISHED_AT) + 1 + _INT64.size),
    len(_PUBLISHED_AT),
    _PUBLISHED_AT,
)
#: What meter's own publisher sends, from the content type to that number: recognized, not taken apart, which
#: takes a third of the time.
_USUAL = tuple(
    (b"%c%b%b" % (len(name), name.encode(), _ONLY_PUBLISHED_AT), name)
    for name in (CONTENT_TYPE_EVENT, CONTENT_TYPE_BATCH)
)
_USUAL_FLAGS = _CONTENT_TYPE | _HEADERS
_DECIDING_FLAGS = _CONTENT_TYPE | _CONTENT_ENCODING | _HEADERS | _MORE_FLAGS


def read_properties(payload: bytes, at: int) -> tuple[str | None, int, int | None]:
    """Read what is of interest; never raises.

    Args:
        payload: of a header frame, without the frame's end mark.
        at: where the flags begin.

    Returns:
        The content type; how often the message was delivered by now; when it was published, in microseconds
        since 1970.
    """
    content_type = None
    try:
        (flags,) = _UINT16.unpack_from(payload, at)
        if flags & _DECIDING_FLAGS == _USUAL_FLAGS:
            for usual, name in _USUAL:
                if payload.startswith(usual, at + _UINT16.size):
                    (published,) = _INT64.unpack_from(payload, at + _UINT16.size + len(usual))
                    return name, 1, published if published > 0 else None
        at = _after_flags(payload, at, flags)
        if flags & _CONTENT_TYPE:
            start, at = at + 1, at + 1 + payload[at]
            content_type = _text(payload, start, at)
        if flags & _CONTENT_ENCODING:
            at += 1 + payload[at]
        if not flags & _HEADERS:
            return content_type, 1, None
        (length,) = _UINT32.unpack_from(payload, at)
    except (IndexError, error):
        return content_type, 1, None
    at += _UINT32.size
    numbers = _wanted_numbers(payload[at : at + length])
    count = max(numbers.get(_DELIVERY_COUNT, 0), numbers.get(_ACQUIRED_COUNT, 0))
    published = numbers.get(_PUBLISHED_AT, 0)
    return content_type, max(0, count) + 1, published if published > 0 else None


def _after_flags(payload: bytes, at: int, flags: int) -> int:
    while flags & _MORE_FLAGS:
        at += _UINT16.size
        (flags,) = _UINT16.unpack_from(payload, at)
    return at + _UINT16.size


def _text(payload: bytes, start: int, end: int) -> str | None:
    if end > len(payload):
        return None
    try:
        return payload[start:end].decode()
    except UnicodeDecodeError:
        return None


def _wanted_numbers(table: bytes) -> dict[bytes, int]:
    """Walk through a table of headers as far as it can be read."""
    found: dict[bytes, int] = {}
    at = 0
    try:
        while at < len(table):
            start, at = at + 1, at + 1 + table[at]
            name, kind = table[start:at], table[at]
            at += 1
            if (integer := _INTEGERS.get(kind)) is not None:
                if name in _WANTED:
                    (found[name],) = integer.unpack_from(table, at)
                at += integer.size
            elif kind in _WITH_LENGTH:
                at += _UINT32.size + _UINT32.unpack_from(table, at)[0]
            else:
                at += _PASSED_OVER[kind]
    except (IndexError, KeyError, error):
        pass
    return found
