"""AMQP frames as a broker sends them."""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING

from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.frame import marshal
from pamqp.header import ContentHeader

if TYPE_CHECKING:
    from collections.abc import Sequence

END = b"\xce"


def delivery(
    tag: int,
    parts: Sequence[bytes],
    *,
    channel: int = 1,
    properties: Basic.Properties | None = None,
    raw_properties: bytes | None = None,
) -> list[bytes]:
    """The frames of one delivery: method, header, and one frame for each part of the body.

    Args:
        tag: its delivery tag.
        parts: of the body.
        channel: the channel.
        properties: of the message.
        raw_properties: what stands after the flags instead, every flag set.
    """
    size = sum(map(len, parts))
    header = marshal(ContentHeader(0, size, properties or Basic.Properties()), channel)
    if raw_properties is not None:
        payload = pack(">HHQ", 60, 0, size) + b"\xff\xfc" + raw_properties
        header = pack(">BHI", 2, channel, len(payload)) + payload + END
    return [
        marshal(Basic.Deliver("ctag1.0a1b2c", tag, False, "meter.usage", "acme"), channel),
        header,
        *(marshal(ContentBody(part), channel) for part in parts),
    ]
