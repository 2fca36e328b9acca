"""Events as they lie in a spool file: framed, so that damage is recognised and what is whole is found again.

A frame is a mark, the length and the CRC-32 of what follows; then the organization, a line feed, the event.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum, auto
from zlib import crc32

from meter.events import MESSAGE_MAX_BYTES, MESSAGE_MAX_EVENTS

#: Begins every frame and says its version. No UTF-8 holds 0xFF, so no event can hold the mark, and behind
#: damage the next whole frame is found by looking for it.
MARK = b"\xffm1"
_HEAD = struct.Struct(f"<{len(MARK)}sII")
#: An organization has at most 36 characters, all of them ASCII.
_PAYLOAD_MAX_BYTES = MESSAGE_MAX_BYTES + 64
#: A block this large holds at least one whole frame, wherever it begins.
FRAME_MAX_BYTES = _HEAD.size + _PAYLOAD_MAX_BYTES
#: What the array of a batch adds to its events, when each is counted with a comma behind it.
_BRACKETS_BYTES = 1


class Damage(Enum):
    """What is wrong with a spool file."""

    TORN = auto()  # its last frame was never finished: its writer was killed in the act, or power was lost
    CORRUPT = auto()  # bytes that were once written are not what they were


@dataclass(frozen=True, slots=True)
class Scan:
    """What a block of a spool file holds."""

    routing_key: str  #: the organization of the first event
    events: tuple[bytes, ...]
    consumed: int  #: bytes of the block that need not be looked at again
    damage: Damage | None


def framed(org_id: str, event: bytes) -> bytes:
    """Frame an event.

    Args:
        org_id: the organization that pays.
        event: the encoded event.

    Returns:
        The bytes to append to a spool file.
    """
    payload = b"%b\n%b" % (org_id.encode(), event)
    return _HEAD.pack(MARK, len(payload), crc32(payload)) + payload


def scan(block: bytes, *, ends: bool) -> Scan:
    """Read as many events as one message may carry.

    Damage is skipped: every whole frame behind it is found, and no event is returned that was not written.

    Args:
        block: of a spool file, from the beginning of a frame on.
        ends: whether the file ends with the block; otherwise it has at least ``FRAME_MAX_BYTES``.

    Returns:
        The events, and how far the block was read; what was not is to be read again.
    """
    first_org, events, room = b"", list[bytes](), MESSAGE_MAX_BYTES - _BRACKETS_BYTES
    at, damage = 0, None
    while at < len(block) and len(events) < MESSAGE_MAX_EVENTS:
        end = _frame_end(block, at)
        if end is None:
            if not ends and _is_begun(block, at):
                break
            damage = _worse(damage, _kind_of_damage(block, at) if ends else Damage.CORRUPT)
            at = _next_frame(block, at, ends=ends)
            continue
        org, _, event = block[at + _HEAD.size : end].partition(b"\n")
        if len(event) + 1 > room and events:
            break
        events.append(event)
        room -= len(event) + 1
        first_org = first_org or org
        at = end
    return Scan(first_org.decode(), tuple(events), at, damage)


def _frame_end(block: bytes, at: int) -> int | None:
    """Where the frame ends that begins here; None when there is no whole one."""
    begin = at + _HEAD.size
    if begin > len(block):
        return None
    mark, length, checksum = _HEAD.unpack_from(block, at)
    end: int = begin + length
    if mark != MARK or not 0 < length <= _PAYLOAD_MAX_BYTES or end > len(block):
        return None
    return end if crc32(block[begin:end]) == checksum else None


def _is_begun(block: bytes, at: int) -> bool:
    """Whether the block ends within what may be a frame."""
    rest = len(block) - at
    if rest < _HEAD.size:
        return block[at : at + len(MARK)] == MARK[:rest]
    mark, length, _ = _HEAD.unpack_from(block, at)
    return bool(mark == MARK and 0 < length <= _PAYLOAD_MAX_BYTES and rest < _HEAD.size + length)


def _kind_of_damage(block: bytes, at: int) -> Damage:
    # A file system may have made the file longer before power was lost, and the bytes never came.
    unfinished = _is_begun(block, at) or not block[at:].strip(b"\0")
    return Damage.TORN if unfinished and block.find(MARK, at + 1) < 0 else Damage.CORRUPT


def _next_frame(block: bytes, at: int, *, ends: bool) -> int:
    while (at := block.find(MARK, at + 1)) >= 0:
        if _frame_end(block, at) is not None or (not ends and _is_begun(block, at)):
            return at
    begun = next((cut for cut in range(len(MARK) - 1, 0, -1) if block.endswith(MARK[:cut])), 0)
    return len(block) if ends else len(block) - begun


def _worse(one: Damage | None, other: Damage) -> Damage:
    return Damage.CORRUPT if Damage.CORRUPT in (one, other) else other
