"""A PostgreSQL on a disk of its own that can be filled to the last byte.

The disk is a tmpfs in a mount namespace that belongs to the server's account, so that nobody has to be root.
What is on it is gone when the server ends.
"""

from __future__ import annotations

import os
import shlex
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from meter.local.account import make_open_folder
from meter.local.postgres import PostgresServer
from meter.local.postgres_binaries import postgres_bin_dir
from meter.local.programs import run_program
from meter.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

#: An empty cluster takes half of it.
_DISK = "160m"
_BLOCK_BYTES = 64 * 1024
_SMALLEST_BYTES = 512

#: In a namespace, where we may mount: takes the data there is on the new disk, which then is where the data
#: was, and goes on as somebody who is not root there either. The ballast is made there because who comes from
#: outside may write to a file but has no account in there to own one.
_ON_A_DISK = f"""
set -e
data=$2
mkdir -p "$data/disk"
mount -t tmpfs -o size={_DISK},mode=0700 tmpfs "$data/disk"
tar -C "$data" --exclude=./disk -cf - . | tar -C "$data/disk" -xf -
mount --bind "$data/disk" "$data"
: > "$data/ballast"
exec unshare --user --map-user=1000 --map-group=1000 "$0" "$@"
"""
_AS_ROOT_OF_A_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")


async def disks_can_be_made() -> bool:
    """Whether this machine lets an account make namespaces and mount in them."""
    trial = (*_AS_ROOT_OF_A_NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/tmp")
    with suppress(OSError):
        return (await run_program(*trial, demote=True)).code == 0
    return False


class SmallDisk:
    """The disk of a running server."""

    def __init__(self, server: PostgresServer) -> None:
        assert server.child.pid is not None
        # As the server sees it: the link leads into its namespace.
        root = Path(f"/proc/{server.child.pid}/root")
        self._ballast = root / (server.folder / "data" / "ballast").relative_to("/")

    def fill(self) -> None:
        """Leave not a byte."""
        with self._ballast.open("r+b", buffering=0) as ballast:
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
async def postgres_on_a_small_disk(folder: Path) -> AsyncIterator[tuple[PostgresServer, SmallDisk]]:
    """Start a server.

    Args:
        folder: of it.
    """
    programs = folder / "programs"
    make_open_folder(programs)
    real = await postgres_bin_dir(load_settings().cache_dir)
    (programs / "initdb").symlink_to(real / "initdb")
    start = shlex.join([*_AS_ROOT_OF_A_NAMESPACE, "sh", "-c", _ON_A_DISK, str(real / "postgres")])
    postgres = programs / "postgres"
    postgres.write_text(f'#!/bin/sh\n[ "$1" = -D ] || exec {real / "postgres"} "$@"\nexec {start} "$@"\n')
    postgres.chmod(0o755)
    server = PostgresServer(folder / "postgres", programs)
    await server.start()
    try:
        yield server, SmallDisk(server)
    finally:
        await server.stop()
