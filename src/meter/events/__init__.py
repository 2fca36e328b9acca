"""The usage event: the public contract, version 1, encode and decode."""

from meter.events.decoded import Decoded, Refusal
from meter.events.decoding import decode_message
from meter.events.encoding import encode_batch, encode_event, encode_void
from meter.events.identity import EVENT_KEY_NAMESPACE, event_key, is_event_key, new_event_id
from meter.events.metadata import METADATA_MAX_BYTES, encode_metadata
from meter.events.model import (
    CONTENT_TYPE_BATCH,
    CONTENT_TYPE_EVENT,
    EVENT_TYPE,
    MESSAGE_MAX_BYTES,
    MESSAGE_MAX_EVENTS,
    VOID_TYPE,
    KeySource,
    UsageData,
    UsageEvent,
)
from meter.events.reasons import RefusalReason
from meter.events.usage import Usage, usage_of
from meter.events.void import Event, Void, VoidData, VoidEvent, void_of

__all__ = [
    "CONTENT_TYPE_BATCH",
    "CONTENT_TYPE_EVENT",
    "EVENT_KEY_NAMESPACE",
    "EVENT_TYPE",
    "MESSAGE_MAX_BYTES",
    "MESSAGE_MAX_EVENTS",
    "METADATA_MAX_BYTES",
    "VOID_TYPE",
    "Decoded",
    "Event",
    "KeySource",
    "Refusal",
    "RefusalReason",
    "Usage",
    "UsageData",
    "UsageEvent",
    "Void",
    "VoidData",
    "VoidEvent",
    "decode_message",
    "encode_batch",
    "encode_event",
    "encode_metadata",
    "encode_void",
    "event_key",
    "is_event_key",
    "new_event_id",
    "usage_of",
    "void_of",
]
