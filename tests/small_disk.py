"""A PostgreSQL on disks of its own that can be filled to the last byte.

The disks are tmpfs in a mount namespace that belongs to the server's account, so that nobody has to be root.
A process that does nothing holds the namespace, so that the server can end and start again on the same disks;
when the holder ends what is on them is gone.
"""

from __future__ import annotations

import os
import shlex
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.running_worker import until

from meter.local.account import make_open_folder
from meter.local.child import Child, Command
from meter.local.postgres import PostgresServer
from meter.local.postgres_binaries import postgres_bin_dir
from meter.local.programs import run_program
from meter.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

#: Of the data as a whole, the log before it among them; an empty cluster takes 80 MB.
DATA = "."
#: Of the log alone.
LOG = "pg_wal"
_BLOCK_BYTES = 64 * 1024
_SMALLEST_BYTES = 512

_AS_ROOT_OF_A_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
_HOLD = 'echo $$ > "$0"; exec sleep infinity'

#: In the namespace, where we may mount, before the first start: puts what is in a folder on a new disk, which
#: then is where the folder was. The ballast is made there because who comes from outside may write to a file
#: but has no account in there to own one.
_MOVE = """
part=$data/{part}
if ! [ -e "$part/ballast" ]; then
  mkdir -p "$part/disk"
  mount -t tmpfs -o size={size},mode=0700 tmpfs "$part/disk"
  tar -C "$part" --exclude=./disk -cf - . | tar -C "$part/disk" -xf -
  mount --bind "$part/disk" "$part"
  : > "$part/ballast"
fi
"""
#: Then it goes on as somebody who is not root there either. A small disk has no room for much of a log.
_SERVE = """
exec unshare --user --map-user=1000 --map-group=1000 "$0" "$@" -c max_wal_size=64MB -c min_wal_size=32MB
"""


async def disks_can_be_made() -> bool:
    """Whether this machine lets an account make namespaces and mount in them."""
    trial = (*_AS_ROOT_OF_A_NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/tmp")
    with suppress(OSError):
        return (await run_program(*trial, demote=True)).code == 0
    return False


class SmallDisk:
    """One of the disks of a server."""

    def __init__(self, holder: int, folder: Path) -> None:
        # As the holder sees it: the link leads into its namespace.
        self._ballast = Path(f"/proc/{holder}/root") / (folder / "ballast").relative_to("/")

    def fill(self) -> None:
        """Leave not a byte."""
        with self._ballast.open("ab", buffering=0) as ballast:
            size = _BLOCK_BYTES
            while size >= _SMALLEST_BYTES:
                try:
                    ballast.write(bytes(size))
                except OSError:
                    size //= 2

    def make_room(self) -> None:
        """Free what was filled."""
        os.truncate(self._ballast, 0)


@asynccontextmanager
async def postgres_on_small_disks(
    folder: Path, disks: Mapping[str, str]
) -> AsyncIterator[tuple[PostgresServer, dict[str, SmallDisk]]]:
    """Start a server.

    Args:
        folder: of it.
        disks: their sizes, as ``mount`` takes them, by the part of the data that is on each.
    """
    programs = folder / "programs"
    make_open_folder(programs)
    real = await postgres_bin_dir(load_settings().cache_dir)
    make_open_folder(folder / "holder")
    holder = await _hold(folder / "holder")
    try:
        (programs / "initdb").symlink_to(real / "initdb")
        move = "".join(_MOVE.format(part=part, size=size) for part, size in disks.items())
        enter = ("nsenter", f"--target={holder.pid}", "--user", "--mount", "--preserve-credentials")
        script = f"set -e\ndata=$2\n{move}{_SERVE}"
        start = shlex.join([*enter, "sh", "-c", script, str(real / "postgres")])
        postgres = programs / "postgres"
        postgres.write_text(f'#!/bin/sh\n[ "$1" = -D ] || exec {real / "postgres"} "$@"\nexec {start} "$@"\n')
        postgres.chmod(0o755)
        server = PostgresServer(folder / "postgres", programs)
        await server.start()
        try:
            assert holder.pid is not None
            data = server.folder / "data"
            yield server, {part: SmallDisk(holder.pid, data / part) for part in disks}
        finally:
            await server.stop()
    finally:
        await holder.stop()


async def _hold(folder: Path) -> Child:
    ready = folder / "ready"
    ready.touch()
    ready.chmod(0o666)
    holder = Child(
        Command(
            name="holder",
            folder=folder,
            arguments=[*_AS_ROOT_OF_A_NAMESPACE, "sh", "-c", _HOLD, str(ready)],
            environment=os.environ,
            demote=True,
        )
    )
    await holder.start()

    async def is_ready() -> bool:
        return ready.stat().st_size > 0

    await until(is_ready, bool)
    return holder
