"""The folder that the publishers of a machine share: names, what lies there, and what nobody owns."""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path

from meter.errors import ConfigurationError
from meter.publisher.spool.segment import Segment

_SUFFIX = ".segment"
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Content:
    """What lies in the folder at a moment."""

    size: int  #: of all files, in bytes
    segments: tuple[Path, ...]  #: oldest first, whoever owns them


def checked_folder(path: str | os.PathLike[str]) -> Path:
    """Make the folder if need be.

    Args:
        path: where the spool is to be.

    Returns:
        Its absolute path: a service may change its working directory.

    Raises:
        ConfigurationError: it cannot be used.
    """
    folder = Path(path).absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f'the spool folder "{folder}" cannot be made: {error.strerror}') from None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(
            f'the spool folder "{folder}" must be readable and writable for the user of the service'
        )
    return folder


def content_of(folder: Path) -> Content:
    """Look into the folder.

    Raises:
        OSError: it cannot be read.
    """
    size, names = 0, []
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:  # removed while we run; it is made anew with the next segment
        return Content(0, ())
    with entries:
        for entry in entries:
            try:
                size += entry.stat(follow_symlinks=False).st_size
            except FileNotFoundError:  # removed a moment ago
                continue
            if entry.name.endswith(_SUFFIX):
                names.append(entry.name)
    return Content(size, tuple(folder / name for name in sorted(names)))


def new_segment(folder: Path) -> Segment:
    """Begin a segment of our own; its name is new on this machine and sorts by its age.

    Raises:
        OSError: it cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        name = f"{time.time_ns():020d}-{os.getpid()}-{next(_numbers)}{_SUFFIX}"
        if (segment := Segment.create(folder / name)) is not None:
            return segment


def sync_folder(folder: Path) -> None:
    """Make the names in the folder survive a power cut.

    Raises:
        OSError: the disk failed.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
