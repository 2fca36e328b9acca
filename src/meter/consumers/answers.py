"""Waiting for an answer of the broker.

One that is short of memory or disk gives none for as long as it is: it says so to who publishes, and reads
nothing more from that connection. A new one would only be blocked as well, so it is waited for.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from meter.amqp import BrokerLost, look_at

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from aiormq.abc import AbstractConnection

T = TypeVar("T")

#: So often it is looked whether the broker has blocked the connection, in seconds.
_LOOK_S = 1.0


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
    # Whoever waits may be cancelled just as the call fails.
    asking.add_done_callback(look_at)
    try:
        await asyncio.wait((asking,))
    finally:
        asking.cancel()
    return await asking


async def answered_in_time(
    connection: AbstractConnection,
    asking: Coroutine[object, object, T],
    seconds: float,
    blocked: Callable[[], object],
) -> T:
    """Wait for an answer of the broker; the time in which it is short does not count.

    Args:
        connection: over which it is asked.
        asking: what asks.
        seconds: how long a broker that is not short may take.
        blocked: called when it is found to be short, again and again while it is.

    Returns:
        The answer.

    Raises:
        TimeoutError: there was none in time.
        BrokerLost: the channel was closed.
        AMQPError: what the broker said instead.
    """
    asked = asyncio.ensure_future(asking)
    asked.add_done_callback(look_at)
    left = seconds
    try:
        while not (await asyncio.wait({asked}, timeout=min(_LOOK_S, left)))[0]:
            if await _is_blocked(connection):
                blocked()
                continue
            left -= _LOOK_S
            if left <= 0:
                raise TimeoutError
    finally:
        asked.cancel()
    # The library cancels what is pending on a channel that was closed; to a task group that would look like
    # an end as any other.
    if asked.cancelled():
        raise BrokerLost("the channel was closed")
    return asked.result()


async def _is_blocked(connection: AbstractConnection) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(0):
            await connection.ready()
        return False
    return True
