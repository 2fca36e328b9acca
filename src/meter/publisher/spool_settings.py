"""The settings of a spool; apart from the spool, which needs POSIX and is imported when one is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from meter.errors import ConfigurationError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from pathlib import Path

    from meter.publisher.spool import SpoolOutbox

#: Bytes of unconfirmed events kept in a spool folder: an hour of 1,000 a second, or a day of 40.
SPOOL_MAX_BYTES = 1_024 * 1_048_576


class FsyncPolicy(StrEnum):
    """How often the spool is synced to the disk; decides only what a power cut may cost."""

    EVERY_RECORD = "every record"  #: nothing; each ``record`` waits for the disk
    EVERY_10_MS = "every 10 ms"  #: the events of about the last 10 ms
    NONE = "none"  #: what the kernel had not yet written, usually half a minute


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """A folder that can be used, and how."""

    folder: Path
    max_bytes: int
    policy: FsyncPolicy

    @classmethod
    def checked(
        cls, folder: str | os.PathLike[str] | None, max_bytes: int, policy: FsyncPolicy | str
    ) -> SpoolSettings | None:
        """Check what a service gave; None when it wants no spool.

        Raises:
            ConfigurationError: the folder or a setting cannot be used.
        """
        if max_bytes < 1:
            raise ConfigurationError("the publisher's bounds must be positive")
        try:
            policy = FsyncPolicy(policy)
        except ValueError:
            names = ", ".join(f'"{each}"' for each in FsyncPolicy)
            raise ConfigurationError(f'there is no fsync policy "{policy}"; it is one of {names}') from None
        if folder is None:
            return None
        try:
            from meter.publisher.spool import checked_folder  # noqa: PLC0415 - needs POSIX
        except ImportError:
            raise ConfigurationError("a spool needs a POSIX system; publish without one here") from None
        return cls(checked_folder(folder), max_bytes, policy)

    def outbox(self, wake: Callable[[], None]) -> SpoolOutbox:
        """A fresh outbox on the folder; it touches no file before the first event."""
        from meter.publisher.spool import SpoolOutbox  # noqa: PLC0415 - as above

        return SpoolOutbox(self.folder, max_bytes=self.max_bytes, policy=self.policy, wake=wake)
