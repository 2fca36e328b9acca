"""A batch of decoded messages, and how a message is decoded that no version of ours should fail on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import msgspec

from meter.consumers.deliveries import Delivery  # noqa: TC001 - msgspec reads the annotations
from meter.events import CONTENT_TYPE_EVENT, Decoded, Event, Refusal, RefusalReason, decode_message
from meter.telemetry import get_logger

#: Decodes wherever the code is in order.
_CONTROL = (
    b'{"specversion":"1.0","type":"meter.usage.v1","id":"control","source":"meter","subject":"control",'
    b'"time":"2026-01-01T00:00:00Z","data":{"user_id":"control","service_type":"llm"}}'
)

log = get_logger(__name__)


class Message(msgspec.Struct, frozen=True, gc=False):
    """A delivery and what it holds.

    Attributes:
        delivery: as it came.
        decoded: its body.
        weight: what it counts towards a full batch: its events and refusals.
    """

    delivery: Delivery
    decoded: Decoded
    weight: int


@dataclass(slots=True)
class Batch:
    """Messages that are settled in one transaction.

    Attributes:
        messages: in the order in which they were delivered.
        events: of all of them, in order.
        weight: of all of them.
        suspects: deliveries that are to be handled with nothing beside them and are not decoded; where there
            are some, there is nothing else.
    """

    messages: list[Message] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    weight: int = 0
    suspects: tuple[Delivery, ...] = ()

    def add(self, message: Message) -> None:
        """Take in one more message."""
        self.messages.append(message)
        self.events += message.decoded.events
        self.weight += message.weight


def decoded_message(delivery: Delivery) -> Message:
    """Decode a delivery.

    Decoding is a function of the bytes and nothing else, so an error of ours over one message comes again
    however often it is tried: the message is refused, and can be replayed once the error is mended. Where
    nothing decodes, it is not the message that is at fault, and none is refused.

    Args:
        delivery: as it came.

    Raises:
        Exception: decoding is broken altogether, or there is no memory left.
    """
    try:
        decoded = decode_message(delivery.body, delivery.content_type)
    except MemoryError:
        raise
    except Exception as error:
        if not decode_message(_CONTROL, CONTENT_TYPE_EVENT).events:
            raise
        decoded = _not_decodable(delivery, error)
    return Message(delivery, decoded, len(decoded.events) + len(decoded.refusals))


def _not_decodable(delivery: Delivery, error: Exception) -> Decoded:
    log.error(
        "a message cannot be decoded, which is an error of meter",
        body_sha256=hashlib.sha256(delivery.body).hexdigest(),
        exc_info=error,
    )
    sentence = f"meter failed to decode it ({type(error).__name__}); replay it once that is mended"
    refusal = Refusal(RefusalReason.NOT_DECODABLE, sentence, delivery.body, whole_message=True)
    return Decoded((), (refusal,), delivery.body)
