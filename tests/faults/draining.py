"""The end of a run: services end, the spool and the queue run empty, workers end."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

import httpx

from meter.consumers import USAGE_QUEUE
from meter.local.rabbitmq_files import PUBLISHER
from meter.publisher import Publisher
from meter.publisher.spool.folder import content_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.faults.scene import Scene
    from tests.faults.watch import Counters

    from meter.local.rabbitmq import RabbitServer

_POLL_S = 0.2
_MESSAGES = (
    f'{{ok, Queue}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"meter">>, queue, <<"{USAGE_QUEUE}">>)), '
    "{ok, {_, Messages}, _} = "
    "ra:local_query(amqqueue:get_pid(Queue), fun rabbit_fifo:query_messages_total/1), Messages."
)
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
    given_back = await _in_the_queue(scene.rabbitmq)
    if given_back and not left:
        left.append(f"{given_back:.0f} messages were given back by workers that had nothing else to do")
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
    async with httpx.AsyncClient(timeout=2) as client:

        async def held() -> float:
            await counters.ask(client)
            return counters.present("meter_in_flight_events")

        await _until_none(lambda: _in_the_queue(scene.rabbitmq), "{:.0f} messages are left in the queue")
        # What a worker still holds it settles; what it could not is in the queue again.
        await _until_none(held, "workers still hold {:.0f} events")


async def _in_the_queue(broker: RabbitServer) -> float:
    """How many messages wait or are out, over connections gone without a word too; AMQP does not tell.

    Those come back when the broker has missed their heartbeats.
    """
    said = await broker.evaluate(_MESSAGES)
    counted = re.search(r"\d+", said)
    return int(counted[0]) if counted else float("inf")


async def _until_none(count: Callable[[], Awaitable[float]], sentence: str) -> None:
    least = float("inf")
    deadline = time.monotonic() + _PATIENCE_S
    while left := await count():
        if left < least:
            least, deadline = left, time.monotonic() + _PATIENCE_S
        if time.monotonic() > deadline:
            raise NotDrained(f"{sentence.format(left)}, and for {_PATIENCE_S:g} s no fewer")
        await asyncio.sleep(_POLL_S)
