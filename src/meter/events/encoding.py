"""From usage events to the bytes of a message: amounts as strings, absent fields left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from meter.credits import format_amount
from meter.events.model import MESSAGE_MAX_BYTES, MESSAGE_MAX_EVENTS, Envelope, UsageEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meter.events.void import VoidEvent

#: Amounts are written as strings by hand; the decimals of the metadata stay the numbers they are.
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def encode_event(event: UsageEvent) -> bytes:
    """Write an event as the contract has it.

    Args:
        event: a validated event.

    Returns:
        The JSON of one CloudEvent, which decodes to an equal event; unknown fields that were folded into the
        metadata are written there.
    """
    data = event.data
    fields = {
        "user_id": data.user_id,
        "service_type": data.service_type,
        "service_name": data.service_name,
        "quantity": format_amount(data.quantity),
        "credits": None if data.credits is None else format_amount(data.credits),
        "api_cost": None if data.api_cost is None else format_amount(data.api_cost),
        "key_source": data.key_source,
        "request_id": data.request_id,
        "metadata": data.metadata or None,
    }
    return _encode(event, {name: value for name, value in fields.items() if value is not None})


def encode_void(event: VoidEvent) -> bytes:
    """Write a void as the contract has it.

    Args:
        event: a validated void.

    Returns:
        The JSON of one CloudEvent, which decodes to the same; unknown fields that were folded are written
        into the data.
    """
    data = event.data
    named = {"target_source": data.target_source, "target_id": data.target_id, "reason": data.reason}
    return _encode(event, named | data.metadata)


def _encode(event: Envelope, fields: dict[str, object]) -> bytes:
    return _ENCODER.encode(
        {
            "specversion": event.specversion,
            "type": event.type,
            "id": event.id,
            "source": event.source,
            "subject": event.subject,
            "time": event.time,
            "data": fields,
        }
    )


def encode_batch(encoded: Sequence[bytes]) -> bytes:
    """Join encoded events into the body of one message.

    Args:
        encoded: 1 to 1,000 encoded events.

    Returns:
        The JSON array, at most 1 MiB.

    Raises:
        ValueError: there are too few or too many events, or too many bytes.
    """
    if not 1 <= len(encoded) <= MESSAGE_MAX_EVENTS:
        raise ValueError(f"a batch must hold 1 to {MESSAGE_MAX_EVENTS:,} events")
    body = b"[" + b",".join(encoded) + b"]"
    if len(body) > MESSAGE_MAX_BYTES:
        raise ValueError(f"a batch must be at most {MESSAGE_MAX_BYTES:,} bytes")
    return body
