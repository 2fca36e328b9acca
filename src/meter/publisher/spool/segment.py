"""One file of the spool: appended to by its owner, read in order, removed when the broker has all of it."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from meter.publisher.spool import locked_files
from meter.publisher.spool.framing import FRAME_MAX_BYTES, Damage, Scan, scan

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("meter.publisher")

_NOTHING_MORE = Scan("", (), 0, Damage.CORRUPT)


class Segment:
    """A locked spool file."""

    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        """Wrap an open file.

        Args:
            path: where it lies.
            descriptor: as ``open_locked`` returned it.
            size: how many bytes of it count, from its beginning.
        """
        self.path = path
        self.size = size
        self.events = 0  #: appended by us
        self.taken = 0  #: read so far
        self.unconfirmed = 0  #: read and on their way
        self.read_to = 0
        self.sealed = False  #: nothing more is appended
        self.gone = False  #: no longer ours to touch
        self.damage: Damage | None = None
        self._descriptor = descriptor

    @classmethod
    def create(cls, path: Path) -> Segment | None:
        """Make a new file; None when another publisher took it for an orphan that very moment.

        Raises:
            OSError: it cannot be made.
        """
        descriptor = locked_files.open_locked(path, create=True)
        return None if descriptor is None else cls(path, descriptor, 0)

    @classmethod
    def adopt(cls, path: Path) -> Segment | None:
        """Take over a file whose owner is gone; None when it has one.

        Raises:
            OSError: it cannot be opened.
        """
        descriptor = locked_files.open_locked(path, create=False)
        if descriptor is None:
            return None
        segment = cls(path, descriptor, os.fstat(descriptor).st_size)
        segment.sealed = True
        return segment

    def append(self, frame: bytes) -> None:
        """Append a frame, wholly or not at all.

        Raises:
            OSError: it was not appended; when ``sealed`` is set, nothing more can be.
        """
        try:
            written = os.write(self._descriptor, frame)
        except OSError:
            self._cut_back()
            raise
        if written != len(frame):
            self._cut_back()
            raise OSError("no space left for a whole event")
        self.size += written
        self.events += 1

    def take_back(self, frame: bytes) -> None:
        """Undo the last append, which could not be made durable."""
        self.size -= len(frame)
        self.events -= 1
        self._cut_back()

    def sync(self) -> None:
        """Make everything appended so far survive a power cut.

        Raises:
            OSError: the disk failed.
        """
        os.fdatasync(self._descriptor)

    def descriptor_to_sync(self) -> int:
        """A descriptor that stays open whatever becomes of the segment; for ``locked_files.close``.

        Raises:
            OSError: the process has none left.
        """
        return locked_files.duplicate(self._descriptor)

    def read(self, size: int) -> Scan:
        """Read the events of one message.

        Args:
            size: how much of the file there is to read, from its beginning.

        Returns:
            The events; ``consumed`` is to be added to ``read_to`` when they are taken.
        """
        wanted = min(size - self.read_to, FRAME_MAX_BYTES)
        try:
            block = os.pread(self._descriptor, wanted, self.read_to)
        except OSError:
            block = b""
        if len(block) == wanted:
            return scan(block, ends=self.read_to + wanted == size)
        # Somebody cut the file, or the disk cannot read it: what is missing is not there to be read.
        whole = scan(block, ends=True) if block else _NOTHING_MORE
        rest = wanted if whole.consumed == len(block) else whole.consumed
        return Scan(whole.routing_key, whole.events, rest, Damage.CORRUPT)

    def note_damage(self, found: Scan) -> None:
        """Remember, and say loudly, that what was just read and not yet taken is damaged."""
        first, last = self.read_to, self.read_to + found.consumed
        if found.damage is Damage.TORN:
            log.warning(
                "%s ends within an event that was never wholly written (bytes %d to %d)",
                self.path,
                first,
                last,
            )
        else:
            log.error(
                "%s is corrupt somewhere in bytes %d to %d: every whole event in it is sent, then it is set "
                "aside as *.corrupt",
                self.path,
                first,
                last,
            )
        if self.damage is not Damage.CORRUPT:
            self.damage = found.damage

    @property
    def is_read(self) -> bool:
        """Whether everything appended so far was read."""
        return self.read_to >= self.size

    @property
    def is_finished(self) -> bool:
        """Whether nothing in it is needed any more."""
        return self.sealed and self.is_read and not self.unconfirmed

    def remove(self) -> None:
        """Remove the file, or set it aside when it is corrupt, and close it.

        Raises:
            OSError: it stays where it is, and is closed too.
        """
        try:
            with suppress(FileNotFoundError):
                if self.damage is Damage.CORRUPT:
                    self.path.rename(self.path.with_suffix(".corrupt"))
                else:
                    self.path.unlink()
        finally:
            self.release()

    def release(self) -> None:
        """Close the file and leave it to whoever adopts it."""
        locked_files.close(self._descriptor)

    def _cut_back(self) -> None:
        try:
            if os.fstat(self._descriptor).st_size != self.size:
                os.ftruncate(self._descriptor, self.size)
        except OSError:
            self.sealed = True
