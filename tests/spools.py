"""Spools on their own: files, locks and bounds, without a broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meter.publisher import FsyncPolicy
from meter.publisher.outbox import Message
from meter.publisher.spool import SpoolOutbox

if TYPE_CHECKING:
    from pathlib import Path


class Spools:
    """Outboxes on one folder, all closed at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._opened: list[SpoolOutbox] = []

    def open(self, *, max_bytes: int = 1 << 30, policy: FsyncPolicy = FsyncPolicy.NONE) -> SpoolOutbox:
        outbox = SpoolOutbox(self.folder, max_bytes=max_bytes, policy=policy, wake=lambda: None)
        self._opened.append(outbox)
        return outbox

    def files(self, suffix: str = "") -> list[Path]:
        return sorted(self.folder.glob(f"*{suffix}"))

    def end(self) -> None:
        for outbox in self._opened:
            outbox.end()


def event(number: int) -> bytes:
    return b'{"number":%d}' % number


def take_all(outbox: SpoolOutbox) -> list[Message]:
    outbox.seal()
    messages = []
    while isinstance(message := outbox.take(), Message):
        messages.append(message)
    return messages


def events_of(messages: list[Message]) -> list[bytes]:
    return [each for message in messages for each in message.events]
