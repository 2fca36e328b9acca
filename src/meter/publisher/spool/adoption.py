"""Segments whose owner is gone, taken over so that they are sent after all."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING

from meter.publisher.spool.folder import content_of
from meter.publisher.spool.segment import Segment

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("meter.publisher")

#: How often the folder is looked at, in seconds: a dead neighbour's events wait no longer than that.
LOOK_SECONDS = 1.0
#: Unread segments held at once. Every living publisher on the folder takes its part, and the rest stays free.
_AT_ONCE = 2


class Adoption:
    """Looks for orphans; used by the sending thread alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._left_alone: set[Path] = set()
        self._look_at = 0.0
        self._more = False
        self.unread: deque[Segment] = deque()

    def seconds_to_look(self) -> float:
        """How long until the folder is to be looked at; 0 or less when it is now."""
        if self._more and not self.unread:
            return 0.0
        return self._look_at - time.monotonic()

    def look(self) -> int:
        """Adopt what nobody owns, the oldest first; returns how large the folder is, in bytes."""
        self._look_at = time.monotonic() + LOOK_SECONDS
        self._more = False
        try:
            content = content_of(self._folder)
        except OSError as failure:
            log.warning("the spool %s cannot be looked at: %s", self._folder, failure)
            return 0
        for path in content.segments:
            if len(self.unread) >= _AT_ONCE:
                self._more = True
                break
            if path not in self._left_alone and (segment := self._adopted(path)) is not None:
                self.unread.append(segment)
        return content.size

    def leave_alone(self, path: Path, why: OSError) -> None:
        """Never touch this file again: it would fail, or be sent, over and over."""
        self._left_alone.add(path)
        log.error("the spool file %s is left where it is, look after it by hand: %s", path, why)

    def _adopted(self, path: Path) -> Segment | None:
        try:
            segment = Segment.adopt(path)
        except FileNotFoundError:  # its owner was done with it a moment ago
            return None
        except OSError as failure:
            self.leave_alone(path, failure)
            return None
        if segment is not None:
            log.info("adopted %s (%d bytes), whose publisher is gone", path, segment.size)
        return segment
