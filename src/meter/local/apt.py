"""Debian and Ubuntu packages, downloaded and unpacked into a folder.

Nothing is installed and no root is needed. The machine's own sources, proxies and keys are used; only the
lists and the archives live in a folder of ours.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

from meter.errors import MeterError
from meter.local.account import make_open_folder
from meter.local.cache_folder import filling
from meter.local.programs import run_program

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    #: Told what is going on and, where known, which part of it is done (0 to 1).
    Report = Callable[[str, float | None], None]

#: A package that would be new; one that is there and would only be renewed says ``[old version]`` first
#: and is not needed.
_NEW_PACKAGE = re.compile(r"^Inst (\S+) \(")
#: One download begun.
_DOWNLOAD_BEGUN = re.compile(r"^Get:\d+ ")
_LAST_LINES = 3


class PackageNotFetched(MeterError):
    """A package of the distribution could not be downloaded or unpacked."""

    retryable = True


def apt_is_there() -> bool:
    """Tell whether this machine has apt and dpkg."""
    return all(shutil.which(program) for program in ("apt-get", "dpkg-deb"))


async def unpack_package(package: str, cache_dir: Path, report: Report) -> Path:
    """Download a package with what it needs and the machine lacks, and unpack it all into one folder, once.

    Args:
        package: the distribution's name of it.
        cache_dir: meter's cache folder.
        report: told of the progress.

    Returns:
        The folder that has ``usr/`` of the packages.

    Raises:
        PackageNotFetched: apt or dpkg failed; the message ends with their own words.
    """
    unpacked = cache_dir / "packages" / package
    if not unpacked.exists():
        async with filling(unpacked.parent):
            if not unpacked.exists():
                await _unpack(package, unpacked, _Apt(cache_dir / "apt"), report)
    return unpacked


def library_path(unpacked: Path) -> dict[str, str]:
    """What a program from unpacked packages must be told to find the libraries beside it.

    Args:
        unpacked: the folder that has ``usr/`` of the packages.

    Returns:
        Environment variables; empty where the packages have no libraries.
    """
    folders = {
        str(library.parent)
        for parent in (unpacked / "usr/lib", unpacked / "lib")
        for library in parent.glob("*-linux-*/*.so*")
    }
    return {"LD_LIBRARY_PATH": os.pathsep.join(sorted(folders))} if folders else {}


async def _unpack(package: str, unpacked: Path, apt: _Apt, report: Report) -> None:
    report(f"asking the distribution for {package}", None)
    await apt.run("update")
    simulated = await apt.run("install", "--simulate", "--no-install-recommends", package)
    names = [found[1] for line in simulated.splitlines() if (found := _NEW_PACKAGE.match(line))]
    draft = unpacked.with_name(f"{package}.draft")
    archives = unpacked.with_name(f"{package}.archives")
    for folder in (draft, archives):
        shutil.rmtree(folder, ignore_errors=True)
        make_open_folder(folder)
    await apt.download(names, archives, report)
    for number, archive in enumerate(sorted(archives.glob("*.deb"))):
        report(f"unpacking {package}", number / len(names))
        await _run("dpkg-deb", "--extract", str(archive), str(draft))
    shutil.rmtree(archives)
    draft.chmod(0o755)
    draft.rename(unpacked)


class _Apt:
    """``apt-get`` with lists and archives of its own."""

    def __init__(self, folder: Path) -> None:
        for part in ("lists/partial", "cache/archives/partial"):
            make_open_folder(folder / part)
        self._options = (
            *("-o", f"Dir::State::lists={folder / 'lists'}"),
            *("-o", f"Dir::Cache={folder / 'cache'}"),
            # Hooks that tell the desktop about new lists do not concern ours.
            *("-o", "APT::Update::Post-Invoke-Success::="),
            *("-o", "APT::Get::Assume-Yes=true"),
            *("-o", "Acquire::Retries=3"),
        )

    async def run(self, *arguments: str) -> str:
        return await _run("apt-get", *self._options, *arguments)

    async def download(self, names: Sequence[str], folder: Path, report: Report) -> None:
        begun = 0

        def count(line: str) -> None:
            nonlocal begun
            if _DOWNLOAD_BEGUN.match(line):
                begun += 1
                report(f"downloading {len(names)} packages of the distribution", min(1.0, begun / len(names)))

        await _run("apt-get", *self._options, "download", *names, folder=folder, each_line=count)


async def _run(
    *command: str, folder: Path | str = "/", each_line: Callable[[str], None] | None = None
) -> str:
    environment = os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    ended = await run_program(*command, environment=environment, folder=folder, each_line=each_line)
    if ended.code != 0:
        raise PackageNotFetched(f"{command[0]} failed: {'; '.join(ended.lines[-_LAST_LINES:])}")
    return "\n".join(ended.lines)
