"""Messages that cannot be settled, of every kind we know, each with the reason it has to be refused for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meter.events import (
    CONTENT_TYPE_BATCH,
    CONTENT_TYPE_EVENT,
    MESSAGE_MAX_BYTES,
    MESSAGE_MAX_EVENTS,
    RefusalReason,
)

if TYPE_CHECKING:
    from collections.abc import Callable

#: Stands where a JSON literal goes that Python cannot spell.
_LITERAL = "@literal@"


@dataclass(frozen=True, slots=True)
class Malformed:
    """One kind of message that cannot be settled.

    Attributes:
        name: what is wrong with it.
        reason: what it has to be refused for.
        build: makes the body for an organization; the number makes it differ from others of its kind.
        content_type: what it is published with.
        by_settlement: whether it decodes, and only the price book or the database refuse it.
    """

    name: str
    reason: RefusalReason
    build: Callable[[str, int], bytes]
    content_type: str | None = CONTENT_TYPE_EVENT
    by_settlement: bool = False

    def __str__(self) -> str:
        return self.name


def usage(org_id: str, number: int, **changes: object) -> dict[str, object]:
    """Make a valid event as a service writes it; ``data`` is changed field by field, None leaves one out."""
    data_changes = changes.pop("data", {})
    event: dict[str, object] = {
        "specversion": "1.0",
        "type": "meter.usage.v1",
        "id": f"event-{number}",
        "source": "tests",
        "subject": org_id,
        "time": "2026-01-31T12:00:00Z",
    }
    data = {"user_id": "alice", "service_type": "contact_lookup"}
    changed = _present({**data, **data_changes}) if isinstance(data_changes, dict) else data_changes
    return _present({**event, "data": changed, **changes})


def body(org_id: str, number: int, **changes: object) -> bytes:
    """The bytes of `usage`."""
    return json.dumps(usage(org_id, number, **changes)).encode()


def _present(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _event(**changes: object) -> Callable[[str, int], bytes]:
    return lambda org_id, number: body(org_id, number, **changes)


def _data(**changes: object) -> Callable[[str, int], bytes]:
    return _event(data=changes)


def _literal(literal: str, **changes: object) -> Callable[[str, int], bytes]:
    """An event with a JSON literal in place of every `_LITERAL`."""
    return lambda org_id, number: body(org_id, number, **changes).replace(
        f'"{_LITERAL}"'.encode(), literal.encode()
    )


def _quantity(literal: str) -> Callable[[str, int], bytes]:
    return _literal(literal, data={"quantity": _LITERAL})


def _metadata(literal: str) -> Callable[[str, int], bytes]:
    return _literal(literal, data={"metadata": {"value": _LITERAL}})


def _batch(size: int) -> Callable[[str, int], bytes]:
    return lambda org_id, number: (
        b"[" + b",".join(body(org_id, number * 10_000 + index) for index in range(size)) + b"]"
    )


def _nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


def _raw(template: bytes) -> Callable[[str, int], bytes]:
    return lambda _, number: template.replace(b"#", str(number).encode())


_R = RefusalReason

MALFORMED: tuple[Malformed, ...] = (
    # The message as a whole.
    Malformed("not json", _R.UNREADABLE, _raw(b"usage no. #")),
    Malformed("an empty body", _R.UNREADABLE, _raw(b"")),
    Malformed("json cut short", _R.UNREADABLE, lambda org_id, number: body(org_id, number)[:-2]),
    Malformed(
        "json with a trailing comma", _R.UNREADABLE, lambda org_id, number: body(org_id, number) + b","
    ),
    Malformed("two objects in a row", _R.UNREADABLE, lambda org_id, number: body(org_id, number) * 2),
    Malformed(
        "invalid utf-8",
        _R.UNREADABLE,
        lambda org_id, number: body(org_id, number, id="@").replace(b"@", b"\xff"),
    ),
    Malformed(
        "a surrogate in utf-8",
        _R.UNREADABLE,
        lambda org_id, number: body(org_id, number, id="@").replace(b"@", b"\xed\xa0\x80"),
    ),
    Malformed("utf-16", _R.UNREADABLE, lambda org_id, number: body(org_id, number).decode().encode("utf-16")),
    Malformed(
        "utf-8 with a byte order mark",
        _R.UNREADABLE,
        lambda org_id, number: b"\xef\xbb\xbf" + body(org_id, number),
    ),
    Malformed("the literal NaN", _R.UNREADABLE, _quantity("NaN")),
    Malformed("the literal Infinity", _R.UNREADABLE, _quantity("Infinity")),
    Malformed("a leading zero", _R.UNREADABLE, _quantity("01")),
    Malformed("an object as a batch", _R.UNREADABLE, _event(), CONTENT_TYPE_BATCH),
    Malformed(
        "a batch cut short",
        _R.UNREADABLE,
        lambda org_id, number: _batch(3)(org_id, number)[:-1],
        CONTENT_TYPE_BATCH,
    ),
    Malformed("a batch of broken json", _R.UNREADABLE, _raw(b'[{"id":"#"},{]'), CONTENT_TYPE_BATCH),
    Malformed("an array as an event", _R.INVALID_EVENT, _batch(1)),
    Malformed("a number as an event", _R.INVALID_EVENT, _raw(b"#")),
    Malformed("an empty batch", _R.BATCH_EMPTY, _raw(b"[]"), CONTENT_TYPE_BATCH),
    Malformed("a batch of 1,001", _R.BATCH_TOO_LARGE, _batch(MESSAGE_MAX_EVENTS + 1), CONTENT_TYPE_BATCH),
    Malformed(
        "larger than 1 MiB",
        _R.MESSAGE_TOO_LARGE,
        lambda org_id, number: body(org_id, number).ljust(MESSAGE_MAX_BYTES + 1),
    ),
    Malformed("no content type", _R.UNSUPPORTED_CONTENT_TYPE, _event(), None),
    Malformed("an empty content type", _R.UNSUPPORTED_CONTENT_TYPE, _event(), ""),
    Malformed("plain json as content type", _R.UNSUPPORTED_CONTENT_TYPE, _event(), "application/json"),
    Malformed("text as content type", _R.UNSUPPORTED_CONTENT_TYPE, _event(), "text/plain; charset=utf-8"),
    # The type of the event.
    Malformed("an unknown type", _R.UNSUPPORTED_TYPE, _event(type="meter.usage.v2")),
    Malformed("a void that names nothing", _R.INVALID_EVENT, _event(type="meter.usage.void.v1")),
    Malformed("no type", _R.INVALID_EVENT, _event(type=None)),
    Malformed("a number as type", _R.INVALID_EVENT, _event(type=1)),
    # Fields that are missing, of another type, or too long.
    Malformed("no specversion", _R.INVALID_EVENT, _event(specversion=None)),
    Malformed("another specversion", _R.INVALID_EVENT, _event(specversion="0.3")),
    Malformed("no id", _R.INVALID_EVENT, _event(id=None)),
    Malformed("an empty id", _R.INVALID_EVENT, _event(id="")),
    Malformed("a number as id", _R.INVALID_EVENT, _event(id=17)),
    Malformed(
        "an id of 129 characters",
        _R.INVALID_EVENT,
        lambda org_id, number: body(org_id, number, id=f"{number:0129}"),
    ),
    Malformed("a source of 129 characters", _R.INVALID_EVENT, _event(source="s" * 129)),
    Malformed("no organization", _R.INVALID_EVENT, _event(subject=None)),
    Malformed("an organization of 37 characters", _R.INVALID_EVENT, _event(subject="o" * 37)),
    Malformed("a reserved organization", _R.INVALID_EVENT, _event(subject="deduct")),
    Malformed("an organization with a slash", _R.INVALID_EVENT, _event(subject="acme/1")),
    Malformed("an organization with a line break", _R.INVALID_EVENT, _event(subject="acme\n")),
    Malformed("no data", _R.INVALID_EVENT, _event(data=None)),
    Malformed("a list as data", _R.INVALID_EVENT, _event(data=[1])),
    Malformed("no user", _R.INVALID_EVENT, _data(user_id=None)),
    Malformed("a number as user", _R.INVALID_EVENT, _data(user_id=17)),
    Malformed("a user of 256 characters", _R.INVALID_EVENT, _data(user_id="u" * 256)),
    Malformed("an empty service type", _R.INVALID_EVENT, _data(service_type="")),
    Malformed("a service type of 101 characters", _R.INVALID_EVENT, _data(service_type="s" * 101)),
    Malformed("a service name of 201 characters", _R.INVALID_EVENT, _data(service_name="s" * 201)),
    Malformed("a request id of 256 characters", _R.INVALID_EVENT, _data(request_id="r" * 256)),
    Malformed("an unknown key source", _R.INVALID_EVENT, _data(key_source="own")),
    Malformed("a list as metadata", _R.INVALID_EVENT, _data(metadata=[1])),
    # Time.
    Malformed("no time", _R.INVALID_EVENT, _event(time=None)),
    Malformed("a time without offset", _R.INVALID_EVENT, _event(time="2026-01-31T12:00:00")),
    Malformed("a date as time", _R.INVALID_EVENT, _event(time="2026-01-31")),
    Malformed("a number as time", _R.INVALID_EVENT, _event(time=1769860800)),
    Malformed("a week date as time", _R.INVALID_EVENT, _event(time="2026-W05-6T12:00:00Z")),
    Malformed("the 30th of February", _R.INVALID_EVENT, _event(time="2026-02-30T12:00:00Z")),
    Malformed("the year 0", _R.INVALID_EVENT, _event(time="0000-01-31T12:00:00Z")),
    Malformed("a time before the year 1 in UTC", _R.INVALID_EVENT, _event(time="0001-01-01T00:00:00+01:00")),
    Malformed(
        "a time after the year 9999 in UTC", _R.INVALID_EVENT, _event(time="9999-12-31T23:59:59-01:00")
    ),
    Malformed("a leap second at noon", _R.INVALID_EVENT, _event(time="2026-01-31T12:00:60Z")),
    # Amounts.
    Malformed("negative credits", _R.NUMBER_OUT_OF_RANGE, _data(credits=-1)),
    Malformed("a negative cost in a string", _R.NUMBER_OUT_OF_RANGE, _data(api_cost="-0.01")),
    Malformed("1e999999", _R.NUMBER_OUT_OF_RANGE, _quantity("1e999999")),
    Malformed("1e-999999", _R.NUMBER_OUT_OF_RANGE, _quantity("1e-999999")),
    Malformed("1e999999 in a string", _R.NUMBER_OUT_OF_RANGE, _data(quantity="1e999999")),
    Malformed("an exponent of 30 digits", _R.NUMBER_OUT_OF_RANGE, _quantity("1e" + "9" * 30)),
    Malformed(
        "an exponent of 30 digits in a string", _R.NUMBER_OUT_OF_RANGE, _data(quantity="1e" + "9" * 30)
    ),
    Malformed("seven decimal places", _R.NUMBER_OUT_OF_RANGE, _quantity("0.0000001")),
    Malformed("seven decimal places in a string", _R.NUMBER_OUT_OF_RANGE, _data(credits="1.2345678")),
    Malformed("fifteen integer digits", _R.NUMBER_OUT_OF_RANGE, _quantity("100000000000000")),
    Malformed("an integer of 10,000 digits", _R.NUMBER_OUT_OF_RANGE, _quantity("9" * 10_000)),
    Malformed("true as quantity", _R.INVALID_EVENT, _data(quantity=True)),
    Malformed("a list as quantity", _R.INVALID_EVENT, _data(quantity=[1])),
    Malformed("NaN in a string", _R.INVALID_EVENT, _data(quantity="NaN")),
    Malformed("an empty string as quantity", _R.INVALID_EVENT, _data(quantity="")),
    Malformed("a blank in an amount", _R.INVALID_EVENT, _data(quantity=" 1")),
    Malformed("a line break in an amount", _R.INVALID_EVENT, _data(quantity="1\n")),
    Malformed("an underscore in an amount", _R.INVALID_EVENT, _data(quantity="1_000")),
    Malformed("digits of another script", _R.INVALID_EVENT, _data(quantity="١٢")),
    # What no database of ours can hold.
    Malformed("NUL in a string", _R.INVALID_EVENT, _data(user_id="a\0b")),
    Malformed("NUL in an id", _R.INVALID_EVENT, _event(id="a\0b")),
    Malformed("NUL in the metadata", _R.INVALID_EVENT, _data(metadata={"note": ["a\0b"]})),
    Malformed("NUL in a key of the metadata", _R.INVALID_EVENT, _data(metadata={"a\0b": 1})),
    Malformed("NUL in an unknown field", _R.INVALID_EVENT, _event(extension="a\0b")),
    Malformed("a lone surrogate", _R.INVALID_EVENT, _data(user_id="a\ud800b")),
    Malformed("a lone surrogate in the metadata", _R.INVALID_EVENT, _data(metadata={"note": "\udfff"})),
    Malformed("nesting of 10,000", _R.NESTED_TOO_DEEP, _metadata(_nested(10_000))),
    Malformed("lists nested 10,000 deep", _R.NESTED_TOO_DEEP, _raw(b"[" * 10_000 + b"#" + b"]" * 10_000)),
    Malformed("nesting of 40", _R.NESTED_TOO_DEEP, _metadata(_nested(40))),
    Malformed(
        "an unknown field nested 40 deep", _R.NESTED_TOO_DEEP, _literal(_nested(40), extension=_LITERAL)
    ),
    Malformed("metadata over 8 KiB", _R.METADATA_TOO_LARGE, _data(metadata={"note": "n" * 8_192})),
    Malformed(
        "metadata over 8 KiB with an unknown field",
        _R.METADATA_TOO_LARGE,
        _data(metadata={"note": "n" * 8_000}, extra="e" * 200),
    ),
    Malformed("1e400 in the metadata", _R.NUMBER_OUT_OF_RANGE, _metadata("1e400")),
    Malformed("1e-400 in the metadata", _R.NUMBER_OUT_OF_RANGE, _metadata("1e-400")),
    Malformed("an integer of 400 digits in the metadata", _R.NUMBER_OUT_OF_RANGE, _metadata("9" * 400)),
    Malformed("an integer of 5,000 digits in the metadata", _R.NUMBER_OUT_OF_RANGE, _metadata("9" * 5_000)),
    # What only the price book and the database can know.
    Malformed(
        "a time in the future", _R.FUTURE_TIME, _event(time="2999-01-01T00:00:00Z"), by_settlement=True
    ),
    Malformed(
        "an unknown organization",
        _R.UNKNOWN_ORGANIZATION,
        lambda _, number: body("nobody-knows-it", number),
        by_settlement=True,
    ),
    Malformed(
        "quantity times price over fourteen digits",
        _R.AMOUNT_OVERFLOW,
        _data(service_type="company_enrichment", quantity="99999999999999"),
        by_settlement=True,
    ),
)

#: What decoding alone refuses.
UNDECODABLE = tuple(kind for kind in MALFORMED if not kind.by_settlement)
