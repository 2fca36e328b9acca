"""The own side of the spool: one segment after the other, within the bound, synced as the policy says."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from meter.publisher.spool import locked_files
from meter.publisher.spool.folder import content_of, new_segment, sync_folder
from meter.publisher.spool.syncer import Syncer
from meter.publisher.spool_settings import FsyncPolicy
from meter.publisher.throttle import Throttle

if TYPE_CHECKING:
    import threading
    from collections import deque
    from pathlib import Path

    from meter.publisher.spool.segment import Segment

log = logging.getLogger("meter.publisher")

#: A segment goes when everything in it is confirmed, so a killed process leaves about as much to be sent once
#: more. Smaller ones cost a new file, about 0.1 ms, more often.
SEGMENT_BYTES = 4 * 1_048_576
#: A smaller bound is shared by this many segments, so that room comes back bit by bit.
_SEGMENTS_MIN = 8
#: A larger bound is shared by about this many: every segment of ours is an open file.
_SEGMENTS_MAX = 256
#: A segment that is confirmed to its end goes early when it has this share of its size: a quiet service
#: leaves little to be sent once more, and makes no file for every event.
_EARLY_SHARE = 64


class SpoolFull(OSError):
    """The spool holds as many bytes as it may."""


class Writer:
    """Appends to the own segments; its caller holds the lock."""

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        policy: FsyncPolicy,
        segments: deque[Segment],
        lock: threading.Lock,
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._policy = policy
        self._segment_bytes = max(
            1, min(SEGMENT_BYTES, max_bytes // _SEGMENTS_MIN), max_bytes // _SEGMENTS_MAX
        )
        self._segments = segments
        self._lock = lock
        self._current: Segment | None = None
        self._own_bytes = 0
        self._others_bytes = 0
        self._unsynced: set[Segment] = set()
        self._folder_unsynced = False
        self._syncer = Syncer(self._sync) if policy is FsyncPolicy.EVERY_10_MS else None
        self._sync_failure = Throttle()

    @property
    def held_bytes(self) -> int:
        """What the folder holds: exact for the own part, as last seen for the others'."""
        return self._own_bytes + self._others_bytes

    def append(self, frame: bytes) -> None:
        """Append a frame: it outlives the process from now on.

        Raises:
            SpoolFull: the bound is reached.
            OSError: it could not be written, or not be synced where every record is.
        """
        segment = self._current
        if segment is not None and segment.events and segment.size + len(frame) > self._segment_bytes:
            self.forget(segment)
            segment = None
        if segment is None:
            self.seen(content_of(self._folder).size)
        if self.held_bytes + len(frame) > self._max_bytes:
            raise SpoolFull(f"it holds no more than its {self._max_bytes} bytes")
        if segment is None:
            segment = self._begin()
        try:
            segment.append(frame)
        finally:
            if segment.sealed:
                self._current = None
        self._own_bytes += len(frame)
        if self._policy is FsyncPolicy.EVERY_RECORD:
            self._sync_now(segment, frame)
        elif self._syncer is not None:
            self._unsynced.add(segment)
            if not self._syncer.due:
                self._sync_soon(self._syncer)

    def seen(self, folder_bytes: int) -> None:
        """Told how large all files of the folder are together."""
        self._others_bytes = max(0, folder_bytes - self._own_bytes)

    def retire(self, segment: Segment) -> None:
        """Seal the current segment early when everything in it is confirmed and it is worth a new file."""
        worth = segment.size * _EARLY_SHARE >= self._segment_bytes
        if segment is self._current and segment.is_read and not segment.unconfirmed and worth:
            self.forget(segment)

    def removed(self, segment: Segment) -> None:
        """Told that an own segment is gone."""
        self._own_bytes -= segment.size
        self._unsynced.discard(segment)

    def forget(self, segment: Segment) -> None:
        """Append no more to this segment: what it held cannot be read."""
        segment.sealed = True
        if segment is self._current:
            self._current = None

    def seal(self) -> None:
        """Append no more to the current segment."""
        if self._current is not None:
            self.forget(self._current)

    def stop_syncing(self) -> None:
        """Sync what still waits for the disk, for the last time; to be called without the lock."""
        if self._syncer is not None:
            self._syncer.stop()
            self._sync()

    def _begin(self) -> Segment:
        self._current = segment = new_segment(self._folder)
        self._segments.append(segment)
        if self._policy is FsyncPolicy.EVERY_RECORD:
            sync_folder(self._folder)
        self._folder_unsynced = True
        return segment

    def _sync_now(self, segment: Segment, frame: bytes) -> None:
        try:
            segment.sync()
        except OSError:
            # Whether what was synced before still counts nobody can tell; a new file is the better bet.
            segment.take_back(frame)
            segment.sealed = True
            self._own_bytes -= len(frame)
            self._current = None
            raise

    def _sync_soon(self, syncer: Syncer) -> None:
        try:
            syncer.ask()
        except RuntimeError as error:  # out of threads, or the interpreter is ending; closing syncs once more
            if self._sync_failure.lets_pass():
                log.error("the spool %s is not synced: %s", self._folder, error)  # noqa: TRY400 - as below

    def _sync(self) -> None:
        with self._lock:
            twins, folder = list[int](), self._folder_unsynced
            with suppress(OSError):  # out of descriptors: the segments stay noted and are synced next time
                while self._unsynced:
                    segment = next(iter(self._unsynced))
                    twins.append(segment.descriptor_to_sync())
                    self._unsynced.discard(segment)
            self._folder_unsynced = False
        try:
            for twin in twins:
                os.fdatasync(twin)
            if folder:
                sync_folder(self._folder)
        except OSError as error:
            if self._sync_failure.lets_pass():
                log.error(  # noqa: TRY400 - where it failed says nothing
                    "the spool %s cannot be synced, a power cut may cost events: %s", self._folder, error
                )
        finally:
            for twin in twins:
                locked_files.close(twin)
