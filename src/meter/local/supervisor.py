"""Keeps the parts of the stack running: one that ends is started again, sooner at first and then later."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meter.errors import MeterError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from meter.local.child import Child

#: The first wait before a restart; it doubles while the part keeps ending.
_FIRST_WAIT_SECONDS = 0.25
_LONGEST_WAIT_SECONDS = 15.0
#: A part that ran so long was well; its next end counts as the first.
_WELL_AFTER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the stack.

    Attributes:
        name: what a person calls it.
        start: starts it and waits until it is ready.
        child: the child that runs at the moment.
    """

    name: str
    start: Callable[[], Awaitable[None]]
    child: Callable[[], Child]


async def keep_running(part: Part, say: Callable[[str], None]) -> None:
    """Watch a part that runs and start it again whenever it ends, until cancelled.

    Args:
        part: the part; running.
        say: told in a sentence when it ended and when it is back.
    """
    wait = _FIRST_WAIT_SECONDS
    while True:
        began = time.monotonic()
        code = await part.child().wait()
        if time.monotonic() - began > _WELL_AFTER_SECONDS:
            wait = _FIRST_WAIT_SECONDS
        say(f"{part.name} ended (code {code}) and is started again; its log: {part.child().command.log}")
        wait = await _start_again(part, wait, say)
        say(f"{part.name} is back")


async def _start_again(part: Part, wait: float, say: Callable[[str], None]) -> float:
    """Try until it starts; returns how long to wait before the next time."""
    while True:
        await asyncio.sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
        try:
            await part.start()
        except (MeterError, OSError) as error:
            say(f"{part.name} did not start and is tried again in {wait:g} s: {error}")
        else:
            return wait
