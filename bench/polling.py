"""Watching from outside until something is so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_T = TypeVar("_T")


async def polled(ask: Callable[[], Awaitable[_T]], enough: Callable[[_T], bool], every_seconds: float) -> _T:
    """Ask until the answer is enough; returns it. The caller sets the deadline.

    Args:
        ask: gives the answer.
        enough: judges it.
        every_seconds: how long to wait in between.
    """
    while not enough(answer := await ask()):  # noqa: ASYNC110 - another process is watched from outside
        await asyncio.sleep(every_seconds)
    return answer
