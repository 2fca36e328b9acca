"""Waiting for an answer of the broker in a way that can be cancelled at any moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from meter.amqp import look_at

if TYPE_CHECKING:
    from collections.abc import Awaitable

T = TypeVar("T")


async def answered(call: Awaitable[T]) -> T:
    """Wait for an answer of the broker.

    The library waits with ``asyncio.wait_for``, which up to Python 3.11 forgets that it was cancelled where
    that happens just as a step is done. A task that asks again and again then never ends, and whoever waits
    for the end of all tasks of a session waits for ever.

    Args:
        call: of the library, with a timeout of its own.

    Returns:
        Its answer.
    """
    asking = asyncio.ensure_future(call)
    try:
        await asyncio.wait((asking,))
    finally:
        if not asking.done():
            asking.add_done_callback(look_at)
            asking.cancel()
    return await asking
