"""A private Redis of the tests: the machine's program or the distribution's package, on a free port."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from meter.local.apt import library_path, unpack_package
from meter.local.machine import LOOPBACK, PortBook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DEADLINE_S = 60


@asynccontextmanager
async def running_redis(cache_dir: Path, folder: Path) -> AsyncIterator[int]:
    """Run it, with nothing kept; yields its port."""
    program, environment = await _program(cache_dir)
    port_book = PortBook(folder / "ports.json")
    port = port_book.assign(["redis"])["redis"]
    process = await asyncio.create_subprocess_exec(
        program,
        *("--port", str(port), "--bind", LOOPBACK, "--save", "", "--appendonly", "no"),
        *("--dir", str(folder)),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            while b"Ready to accept connections" not in (line := await process.stdout.readline()):
                assert line, "Redis ended"
        yield port
    finally:
        process.kill()
        await process.wait()


async def _program(cache_dir: Path) -> tuple[str, dict[str, str]]:
    installed = shutil.which("redis-server")
    if installed is not None:
        return installed, {}
    unpacked = await unpack_package("redis-server", cache_dir, lambda _said, _part: None)
    return str(unpacked / "usr" / "bin" / "redis-server"), library_path(unpacked)
