"""A program of the bench does the same whether its process starts anew or is a fork."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import psutil
import pytest
from tests import measured_program

from bench.programs import Programs

if TYPE_CHECKING:
    from pathlib import Path

_MODULE = measured_program.__name__
_SECONDS = 30


@pytest.fixture(params=[False, True], ids=["anew", "fork"])
def programs(request: pytest.FixtureRequest, tmp_path: Path) -> Programs:
    """What starts them."""
    return Programs(tmp_path, "amqp://broker", in_haste=request.param)


async def test_a_program_is_told_what_it_needs_and_says_what_it_measured(programs: Programs) -> None:
    first = await programs.measured(_MODULE, "answer", "1", "2", dsn="postgresql://database")
    second = await programs.measured(_MODULE, "answer", "3")
    assert first == {"sum": 3.0, "addresses": len("amqp://brokerpostgresql://database")}
    assert second == {"sum": 3.0, "addresses": len("amqp://broker")}


async def test_a_program_that_fails_is_told_with_what_it_said(programs: Programs) -> None:
    with pytest.raises(RuntimeError, match=r"ended with 1: out of luck"):
        await programs.measured(_MODULE, "fail")


async def test_a_program_that_goes_on_is_stopped(programs: Programs) -> None:
    program = programs.program("lasting", (_MODULE, "go on"), {})
    await program.start()
    assert program.pid is not None
    running = psutil.Process(program.pid)
    assert running.pid != os.getpid()
    await program.stop()
    assert not running.is_running()


async def test_a_fork_ends_with_the_process_that_asked_for_it(tmp_path: Path) -> None:
    asking = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", _MODULE, "fork", str(tmp_path)), stdout=asyncio.subprocess.PIPE
    )
    assert asking.stdout is not None
    async with asyncio.timeout(_SECONDS):
        fork = psutil.Process(int(await asking.stdout.readline()))
    try:
        asking.kill()
        await asyncio.to_thread(fork.wait, _SECONDS)
    finally:
        if fork.is_running():
            fork.kill()
        await asking.wait()
