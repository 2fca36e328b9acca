"""The identity of an event: which key it is stored, deduplicated and charged under."""

from __future__ import annotations

from uuid import UUID

import msgspec
import uuid_utils

#: Namespace of the keys derived from ``[source, id]``, a fixed random UUID; changing it would charge every
#: event with an id of the caller's own a second time. The database function ``usage_event_key`` has the same.
EVENT_KEY_NAMESPACE = UUID("5d4f8235-758f-4ec5-8589-1998ef3da7c0")

_NAMESPACE = uuid_utils.UUID(str(EVENT_KEY_NAMESPACE))
#: Lower-case hexadecimal digits become an ``x`` and dashes stay: half the time of a regular expression.
_TO_FORM = bytes(
    ord("x") if byte in b"0123456789abcdef" else byte if byte == ord("-") else 0 for byte in range(256)
)
_UUID_FORM = b"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
_ENCODER = msgspec.json.Encoder()


def new_event_id() -> str:
    """Make an id for an event that happens now.

    Returns:
        A UUIDv7 in canonical lower-case form, which is the event's key as it stands.
    """
    return str(uuid_utils.uuid7())


def is_event_key(event_id: str) -> bool:
    """Tell whether an id is an event's key as it stands.

    Args:
        event_id: the event's ``id``.

    Returns:
        Whether it is a UUIDv7 in canonical lower-case form.
    """
    return (
        event_id.encode().translate(_TO_FORM) == _UUID_FORM and event_id[14] == "7" and event_id[19] in "89ab"
    )


def event_key(source: str, event_id: str) -> UUID:
    """Compute the key of an event within its organization.

    Args:
        source: the event's ``source``.
        event_id: the event's ``id``.

    Returns:
        The id itself where it is a canonical lower-case UUIDv7; else the UUIDv5, in `EVENT_KEY_NAMESPACE`, of
        the JSON array ``[source, id]`` in UTF-8, without blanks, with only quote, backslash and control
        characters escaped.
    """
    return UUID(event_id if is_event_key(event_id) else derived_key(source, event_id))


def derived_key(source: str, event_id: str) -> str:
    """Compute the key of an event whose id is none.

    Args:
        source: the event's ``source``.
        event_id: the event's ``id``.

    Returns:
        The UUIDv5 that `event_key` describes, in canonical lower-case form.
    """
    return str(uuid_utils.uuid5(_NAMESPACE, _ENCODER.encode([source, event_id]).decode()))
