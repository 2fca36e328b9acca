"""Runs a program to its end; it does not outlive the one who waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meter.local.account import demotion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended.

    Attributes:
        code: its exit code; negative when a signal ended it.
        lines: what it wrote, errors included.
    """

    code: int
    lines: list[str]


async def run_program(
    *command: str | Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | str = "/",
    demote: bool = False,
    said: str | None = None,
    each_line: Callable[[str], None] | None = None,
) -> Ended:
    """Run a program and collect what it writes.

    Args:
        command: program and arguments.
        environment: the whole environment; this process's when None.
        folder: where it runs.
        demote: run it as the servers' account when meter runs as root.
        said: its standard input, at most a few KiB; none when None.
        each_line: called with each line as it is written.

    Returns:
        How it ended.

    Raises:
        OSError: it cannot be run at all.
    """
    running = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL if said is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=None if environment is None else dict(environment),
        cwd=folder,
        umask=0o077 if demote else -1,
        **(demotion() if demote else {}),
    )
    assert running.stdout is not None  # noqa: S101 - asked for just above
    lines = []
    try:
        if running.stdin is not None and said is not None:
            running.stdin.write(said.encode())
            running.stdin.close()
        async for raw in running.stdout:
            line = raw.decode(errors="replace").rstrip()
            lines.append(line)
            if each_line is not None:
                each_line(line)
        code = await running.wait()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            running.kill()
        await running.wait()
        raise
    return Ended(code, lines)
