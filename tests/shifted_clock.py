"""The clock of a machine, as one process sees it, set to another time while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meter.local.apt import PackageNotFetched, apt_is_there, unpack_package
from meter.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path


class ShiftedClock:
    """What a process that is started with ``environment`` takes for the time.

    Only the time of day: what counts the seconds since the machine began goes on by itself, as it does where
    somebody sets the clock of a real machine.
    """

    def __init__(self, library: Path, file: Path) -> None:
        self._file = file
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.shift(0)

    def shift(self, hours: int) -> None:
        """Set it ahead of the real time, or behind it."""
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{hours:+d}h\n")
        draft.replace(self._file)


async def shifted_clock(folder: Path) -> ShiftedClock | None:
    """Make a clock; None where the distribution has no libfaketime.

    Args:
        folder: for the file that says how far it is off.
    """
    if not apt_is_there():
        return None
    try:
        unpacked = await unpack_package("libfaketime", load_settings().cache_dir, lambda _text, _part: None)
    except PackageNotFetched:
        return None
    library = next(unpacked.glob("usr/lib/*/faketime/libfaketimeMT.so.1"), None)
    return None if library is None else ShiftedClock(library, folder / "clock")
