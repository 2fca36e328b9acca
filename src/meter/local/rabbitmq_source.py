"""Where the private RabbitMQ comes from."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from meter.errors import ConfigurationError
from meter.local.account import make_open_folder
from meter.local.apt import PackageNotFetched, apt_is_there, library_path, unpack_package
from meter.local.cache_folder import filling

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meter.local.apt import Report

#: Where packages put the server's own scripts; what lies on the PATH is often a wrapper that only the
#: service's account may run.
_INSTALLED = ("usr/lib/rabbitmq/lib", "opt/rabbitmq", "usr/local/opt/rabbitmq", "opt/homebrew/opt/rabbitmq")
_NOWHERE = (
    "no RabbitMQ was found and none could be fetched{reason}; install it (Debian, Ubuntu: apt install "
    "rabbitmq-server, macOS: brew install rabbitmq) or set METER_AMQP_URL to a RabbitMQ of your own"
)


@dataclass(frozen=True, slots=True)
class RabbitBinaries:
    """A RabbitMQ that can be run.

    Attributes:
        server: the script ``rabbitmq-server``.
        epmd: Erlang's port mapper.
        environment: what both need to find Erlang.
    """

    server: Path
    epmd: Path
    environment: Mapping[str, str] = field(default_factory=dict)


async def find_rabbitmq(cache_dir: Path, report: Report) -> RabbitBinaries:
    """Find a RabbitMQ: one already installed, else the distribution's own packages unpacked.

    Args:
        cache_dir: meter's cache folder.
        report: told of the progress of a download.

    Returns:
        What to run.

    Raises:
        ConfigurationError: there is none and none could be fetched; the message says what to install.
    """
    installed = installed_rabbitmq(Path("/"))
    if installed is not None:
        return installed
    if not apt_is_there():
        raise ConfigurationError(_NOWHERE.format(reason=""))
    try:
        unpacked = await unpack_package("rabbitmq-server", cache_dir, report)
    except PackageNotFetched as error:
        raise ConfigurationError(_NOWHERE.format(reason=f" ({error})")) from error
    async with filling(unpacked.parent):
        fetched = unpacked_rabbitmq(unpacked)
    if fetched is None:
        raise ConfigurationError(_NOWHERE.format(reason=f" (the packages in {unpacked} have none)"))
    return fetched


def installed_rabbitmq(root: Path) -> RabbitBinaries | None:
    """Look for an installed RabbitMQ with its Erlang.

    Args:
        root: the file system's root.
    """
    erl = shutil.which("erl")
    server = next(_server_scripts(root), None)
    if erl is None or server is None:
        return None
    epmd = next(iter(sorted(Path(erl).resolve().parent.parent.glob("erts-*/bin/epmd"))), None)
    on_path = shutil.which("epmd")
    found = epmd or (None if on_path is None else Path(on_path))
    return None if found is None else RabbitBinaries(server, found)


def unpacked_rabbitmq(root: Path) -> RabbitBinaries | None:
    """Make a RabbitMQ unpacked from packages runnable where it lies.

    Args:
        root: the folder with ``usr/`` of RabbitMQ's package, and of Erlang's where that is not installed.

    Returns:
        None when the folder has no RabbitMQ, or Erlang is nowhere.
    """
    server = next(_server_scripts(root), None)
    if server is None:
        return None
    runtimes = sorted((root / "usr/lib/erlang").glob("erts-*/bin"))
    if not runtimes:
        erl = shutil.which("erl")
        epmds = [] if erl is None else sorted(Path(erl).resolve().parent.parent.glob("erts-*/bin/epmd"))
        return RabbitBinaries(server, epmds[0]) if epmds else None
    runtime = runtimes[-1]
    bin_dir = _write_erl(root, runtime)
    environment = {"PATH": os.pathsep.join((str(bin_dir), os.environ.get("PATH", os.defpath)))}
    environment |= library_path(root)
    return RabbitBinaries(server, runtime / "epmd", environment)


def _server_scripts(root: Path) -> Iterator[Path]:
    for folder in _INSTALLED:
        for pattern in ("rabbitmq_server-*/sbin/rabbitmq-server", "sbin/rabbitmq-server"):
            yield from sorted((root / folder).glob(pattern), reverse=True)


def _write_erl(root: Path, runtime: Path) -> Path:
    """Write an ``erl`` for where Erlang lies now; the packaged ones have their place fixed."""
    bin_dir = root / "meter-bin"
    make_open_folder(bin_dir)
    script = (
        "#!/bin/sh\n"
        f"ROOTDIR='{runtime.parent.parent}'\nBINDIR='{runtime}'\nEMU=beam\nPROGNAME=erl\n"
        "export ROOTDIR BINDIR EMU PROGNAME\n"
        'exec "$BINDIR/erlexec" "$@"\n'
    )
    # RabbitMQ 4 starts a second Erlang to look for its cluster, and finds the packaged script for it.
    for erl in (bin_dir / "erl", runtime / "erl"):
        if not (erl.exists() and erl.read_text() == script):
            erl.unlink(missing_ok=True)
            erl.write_text(script)
            erl.chmod(0o755)
    return bin_dir
