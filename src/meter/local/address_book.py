"""Where the embedded servers of a running stack are, for commands started beside it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from meter.local.account import write_private

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAME = "addresses.json"


class AddressBook(msgspec.Struct, frozen=True):
    """Addresses with passwords, readable only by who started the stack."""

    #: As ``meter_admin``.
    database_admin: str
    #: As a publisher: may write to ``meter.usage`` and nothing else.
    broker_publisher: str
    #: As who replays dead letters: may read ``meter.dead`` and write to ``meter.usage``.
    broker_replayer: str


@contextlib.contextmanager
def published_addresses(folder: Path, book: AddressBook) -> Iterator[None]:
    """Keep the addresses in the state folder while the block runs.

    Args:
        folder: the state folder.
        book: the addresses.
    """
    file = folder / _NAME
    file.unlink(missing_ok=True)
    write_private(file, msgspec.json.encode(book).decode())
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def read_address_book(folder: Path) -> AddressBook | None:
    """Find the stack that runs on a state folder.

    Args:
        folder: the state folder.

    Returns:
        Its addresses; None where none runs, or it is somebody else's.
    """
    try:
        return msgspec.json.decode((folder / _NAME).read_bytes(), type=AddressBook)
    except (OSError, msgspec.DecodeError):
        return None
