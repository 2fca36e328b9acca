"""A peer in a process of its own: started on a full queue, it says in JSON how long it took."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

_ROOT = Path(__file__).resolve().parents[2]
_DEADLINE_SECONDS = 300.0
AMQP_URL = "BENCH_AMQP_URL"
DATABASE_URL = "BENCH_DATABASE_URL"


async def run_peer(name: str, count: int, *, amqp_url: str, dsn: str = "") -> dict[str, float]:
    """Run a module of this folder as a process and wait for what it measured; see :func:`run_program`.

    Args:
        name: the module.
        count: how many events it handles before it ends.
        amqp_url: the broker.
        dsn: the database, where it needs one.
    """
    return await run_program(f"bench.peers.{name}", str(count), amqp_url=amqp_url, dsn=dsn)


async def run_program(module: str, *arguments: str, amqp_url: str, dsn: str = "") -> dict[str, float]:
    """Run a module as a process and wait for what it measured.

    Args:
        module: the module.
        arguments: of it.
        amqp_url: the broker; passed on where other users of the machine do not see it.
        dsn: the database, where it needs one.

    Raises:
        RuntimeError: the process failed.
        TimeoutError: it took longer than anything here may.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        cwd=_ROOT,
        env=os.environ | {AMQP_URL: amqp_url, DATABASE_URL: dsn},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"{module} ended with {process.returncode}")
    measured: dict[str, float] = json.loads(said)
    return measured


def answer(measuring: Coroutine[Any, Any, dict[str, float]]) -> None:
    """Measure with the loop the worker has, and say what came of it."""
    import uvloop  # noqa: PLC0415 - only the process of a peer needs it

    say(uvloop.run(measuring))


def say(measured: dict[str, float]) -> None:
    """Say what was measured to the process that waits for it."""
    sys.stdout.write(json.dumps(measured))
