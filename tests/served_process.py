"""``meter api`` and ``meter admin`` as processes of their own."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DEADLINE_S = 60


@asynccontextmanager
async def meter_process(command: str, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """``python -m meter`` with settings of its own and no others.

    Args:
        command: ``api`` or ``admin``.
        settings: what the environment says.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("METER_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "meter", command),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**inherited, "METER_LOG_FORMAT": "json", **settings},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def ports(process: asyncio.subprocess.Process) -> tuple[int, int]:
    """Wait until it serves; its public port and that of its metrics."""
    assert process.stderr is not None
    async with asyncio.timeout(DEADLINE_S):
        while line := await process.stderr.readline():
            if b'"serving"' in line:
                said = httpx.Response(200, content=line).json()
                return said["port"], said["metrics_port"]
    raise AssertionError("it ended before it served")
