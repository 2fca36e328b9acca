"""The end of a run: services end, the spool and the queue run empty, workers end."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import httpx
from aiormq import connect

from meter.consumers import USAGE_QUEUE
from meter.local.rabbitmq_files import PUBLISHER
from meter.publisher import Publisher
from meter.publisher.spool.folder import content_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiormq.abc import AbstractChannel
    from tests.faults.scene import Scene
    from tests.faults.watch import Counters

_POLL_S = 0.2
#: What gets no less for so long is not drained. However much there is, on however slow a machine, is.
_PATIENCE_S = 120.0


class NotDrained(Exception):
    """Something is left and gets no less."""


async def drain(scene: Scene, counters: Counters) -> list[str]:
    """Let services end first, then the spool and the queue run empty, then workers end.

    Args:
        scene: where nothing is broken any more.
        counters: asked before workers end.

    Returns:
        What could not be drained, in sentences; events in it will seem lost.
    """
    await asyncio.gather(*(service.stop() for service in scene.services))
    left: list[str] = []
    for empty in (_spool, _queue):
        try:
            await empty(scene, counters)
        except NotDrained as error:
            left.append(str(error))
    await asyncio.gather(*(worker.stop() for worker in scene.workers))
    async with connect(scene.operator_url) as connection:
        given_back = await _ready(await connection.channel())
    if given_back and not left:
        left.append(f"{given_back} messages were given back by workers that had nothing else to do")
    return left


async def _spool(scene: Scene, _counters: Counters) -> None:
    """Send what services left behind that had no time for it, as their successors would."""
    if not scene.spool.exists():
        return

    async def size() -> float:
        content = content_of(scene.spool)
        return content.size if content.segments else 0

    async with Publisher(scene.rabbitmq.url(PUBLISHER), source="successor", spool=scene.spool):
        await _until_none(size, "{:.0f} bytes are left in the spool")


async def _queue(scene: Scene, counters: Counters) -> None:
    async with connect(scene.operator_url) as connection, httpx.AsyncClient(timeout=2) as client:
        channel = await connection.channel()

        async def held() -> float:
            await counters.ask(client)
            return counters.present("meter_in_flight_events")

        await _until_none(lambda: _ready(channel), "{:.0f} messages are left in the queue")
        # What a worker still holds it settles; what it could not is in the queue again.
        await _until_none(held, "workers still hold {:.0f} events")


async def _ready(channel: AbstractChannel) -> float:
    return (await channel.queue_declare(USAGE_QUEUE, passive=True)).message_count or 0


async def _until_none(count: Callable[[], Awaitable[float]], sentence: str) -> None:
    least = float("inf")
    deadline = time.monotonic() + _PATIENCE_S
    while left := await count():
        if left < least:
            least, deadline = left, time.monotonic() + _PATIENCE_S
        if time.monotonic() > deadline:
            raise NotDrained(f"{sentence.format(left)}, and for {_PATIENCE_S:g} s no fewer")
        await asyncio.sleep(_POLL_S)
