"""Why an event or a message cannot be settled: codes that never change once published."""

from __future__ import annotations

from enum import StrEnum


class RefusalReason(StrEnum):
    """The reason of a dead letter, stable across versions."""

    # The message as a whole.
    UNSUPPORTED_CONTENT_TYPE = "unsupported_content_type"
    MESSAGE_TOO_LARGE = "message_too_large"
    #: Not UTF-8, not JSON, or not the object or array its content type announces.
    UNREADABLE = "unreadable"
    #: Reading it failed by an error of meter's own: it can be replayed once that is mended.
    NOT_DECODABLE = "not_decodable"
    BATCH_EMPTY = "batch_empty"
    BATCH_TOO_LARGE = "batch_too_large"

    # One event, by its content alone.
    #: A field is missing, of the wrong type, or too long.
    INVALID_EVENT = "invalid_event"
    #: A number is negative, has too many digits, or is beyond what can be stored.
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    METADATA_TOO_LARGE = "metadata_too_large"
    NESTED_TOO_DEEP = "nested_too_deep"
    UNSUPPORTED_TYPE = "unsupported_type"
    #: Given to voids by a version of meter that did not know them yet: they can be replayed.
    UNSUPPORTED = "unsupported"

    # One event, by what the database knows.
    FUTURE_TIME = "future_time"
    AMOUNT_OVERFLOW = "amount_overflow"
    #: A void names a void: what it took back is published anew, under a new identity.
    VOID_OF_VOID = "void_of_void"
    UNKNOWN_ORGANIZATION = "unknown_organization"
    #: Seen before under the same identity with other content; the first stands.
    CONFLICT = "conflict"
    #: The database refuses this event whenever it is settled alone.
    NOT_SETTLEABLE = "not_settleable"
    #: A worker that held nothing else died or hung three times; the message was not decoded.
    POISON = "poison"
