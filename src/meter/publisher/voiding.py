"""From the arguments of ``void`` to the bytes of the contract, which judges each: voids are rare."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads the annotations

import msgspec

from meter.errors import InvalidUsageEvent
from meter.events import VOID_TYPE


class VoidFields(msgspec.Struct, gc=False):
    """The ``data`` of a void on its way out."""

    target_source: str
    target_id: str
    reason: str


class OutgoingVoid(msgspec.Struct, gc=False):
    """A void on its way out, in the order of the contract."""

    id: str
    source: str
    subject: str
    time: datetime
    data: VoidFields
    specversion: str = "1.0"
    type: str = VOID_TYPE


def encode_void(void: OutgoingVoid) -> bytes:
    """Write a void.

    Args:
        void: the void; the contract has not judged it.

    Returns:
        The JSON of one CloudEvent.

    Raises:
        InvalidUsageEvent: it cannot be written as JSON.
    """
    try:
        return msgspec.json.encode(void)
    except (TypeError, ValueError):
        raise InvalidUsageEvent("the void cannot be written as JSON") from None
