"""The usage that every line is measured with: how it is spread, and what an event looks like."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING

from uuid_utils import uuid7

from meter.events import CONTENT_TYPE_BATCH, CONTENT_TYPE_EVENT, encode_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

ORGANIZATIONS = 1_000
USERS_EACH = 10
#: An organization of rank r gets usage in proportion to r to the power of minus this. With 1,000 of them
#: 2,000 events change about 1,200 allocations, as in the measurements the bounds come from.
ZIPF_EXPONENT = 0.9
SEED = 20_260_101
#: Length of an encoded event; the request id is made to fit.
EVENT_BYTES = 353
#: Events in one message, where a message holds several.
EVENTS_A_MESSAGE = 100

_MODELS = ("sonnet", "haiku", "opus")


@dataclass(frozen=True, slots=True)
class Usage:
    """Who used what, before it is an event."""

    org_id: str
    user_id: str
    model: str
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Message:
    """A message ready to be published."""

    body: bytes
    content_type: str
    routing_key: str


def organization_id(rank: int) -> str:
    """Name an organization; ``sql/seed.sql`` names them alike."""
    return f"org-{rank:06d}"


def user_id(number: int) -> str:
    """Name a user of an organization; ``sql/seed.sql`` names them alike."""
    return f"user-{number:02d}"


def usages(count: int, organizations: int = ORGANIZATIONS) -> list[Usage]:
    """Draw usage by the Zipf law; the same at every call.

    Args:
        count: how many.
        organizations: how many there are; rank 1 gets the most.
    """
    chance = random.Random(SEED)  # noqa: S311 - must be repeatable
    ranks = range(1, organizations + 1)
    cumulative = list(accumulate(rank**-ZIPF_EXPONENT for rank in ranks))
    drawn = chance.choices(ranks, cum_weights=cumulative, k=count)
    return [
        Usage(
            organization_id(rank),
            user_id(chance.randrange(1, USERS_EACH + 1)),
            chance.choice(_MODELS),
            chance.randrange(50, 4_000),
            chance.randrange(10, 1_500),
        )
        for rank in drawn
    ]


def encoded_events(drawn: Sequence[Usage]) -> list[bytes]:
    """Write usage as events by the contract, with new ids in the order of time."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return [_encoded(usage, str(uuid7()), time) for usage in drawn]


def single_messages(drawn: Sequence[Usage], events: Sequence[bytes]) -> list[Message]:
    """Put each event into a message of its own."""
    return [
        Message(event, CONTENT_TYPE_EVENT, usage.org_id) for usage, event in zip(drawn, events, strict=True)
    ]


def batch_messages(drawn: Sequence[Usage], events: Sequence[bytes]) -> list[Message]:
    """Put :data:`EVENTS_A_MESSAGE` events into each message."""
    return [
        Message(
            encode_batch(events[first : first + EVENTS_A_MESSAGE]), CONTENT_TYPE_BATCH, drawn[first].org_id
        )
        for first in range(0, len(events), EVENTS_A_MESSAGE)
    ]


def _encoded(usage: Usage, id: str, time: str) -> bytes:
    event = (
        f'{{"specversion":"1.0","type":"meter.usage.v1","id":"{id}","source":"bench","subject":"{usage.org_id}",'
        f'"time":"{time}","data":{{"user_id":"{usage.user_id}","service_type":"llm","quantity":"1",'
        f'"request_id":"req-%s","metadata":{{"model":"{usage.model}","input_tokens":{usage.input_tokens},'
        f'"output_tokens":{usage.output_tokens},"latency_ms":{usage.output_tokens * 11}}}}}}}'
    )
    filling = EVENT_BYTES - len(event) + len("%s")
    return (event % id.replace("-", "").ljust(filling, "0")[:filling]).encode()
