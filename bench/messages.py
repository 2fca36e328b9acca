"""Usage as events by the contract, and events as messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from uuid_utils import uuid7

from bench.workload import EVENT_BYTES, EVENTS_A_MESSAGE
from meter.events import CONTENT_TYPE_BATCH, CONTENT_TYPE_EVENT, encode_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.workload import Usage


@dataclass(frozen=True, slots=True)
class Message:
    """A message ready to be published."""

    body: bytes
    content_type: str
    routing_key: str
    events: int = 1


def encoded_events(drawn: Sequence[Usage]) -> list[bytes]:
    """Write usage as events that happen now, with new ids in the order of time."""
    now = datetime.now(UTC)
    return [encoded_event(usage, now) for usage in drawn]


def encoded_event(usage: Usage, time: datetime) -> bytes:
    """Write one event of :data:`EVENT_BYTES` bytes, with a new id.

    Args:
        usage: who used what.
        time: when, in UTC.
    """
    id = str(uuid7())
    event = (
        f'{{"specversion":"1.0","type":"meter.usage.v1","id":"{id}","source":"bench","subject":"{usage.org_id}",'
        f'"time":"{time:%Y-%m-%dT%H:%M:%S.%fZ}","data":{{"user_id":"{usage.user_id}",'
        f'"service_type":"{usage.service_type}","quantity":"1","request_id":"req-%s","metadata":{{'
        f'"model":"{usage.model}","input_tokens":{usage.input_tokens},"output_tokens":{usage.output_tokens},'
        f'"latency_ms":{usage.output_tokens * 11}}}}}}}'
    )
    filling = EVENT_BYTES - len(event) + len("%s")
    return (event % id.replace("-", "").ljust(filling, "0")[:filling]).encode()


def single_message(usage: Usage, event: bytes) -> Message:
    """Put an event into a message of its own."""
    return Message(event, CONTENT_TYPE_EVENT, usage.org_id)


def single_messages(drawn: Sequence[Usage], events: Sequence[bytes]) -> list[Message]:
    """Put each event into a message of its own."""
    return [single_message(usage, event) for usage, event in zip(drawn, events, strict=True)]


def batch_messages(drawn: Sequence[Usage], events: Sequence[bytes]) -> list[Message]:
    """Put :data:`EVENTS_A_MESSAGE` events into each message."""
    return [
        _batch_message(drawn[first].org_id, events[first : first + EVENTS_A_MESSAGE])
        for first in range(0, len(events), EVENTS_A_MESSAGE)
    ]


def _batch_message(org_id: str, events: Sequence[bytes]) -> Message:
    return Message(encode_batch(events), CONTENT_TYPE_BATCH, org_id, len(events))
