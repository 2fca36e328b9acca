"""Where events are once everything is drained."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import UUID

from aiormq import connect
from tests.faults.verdict import Found

from meter.consumers import DEAD_QUEUE

if TYPE_CHECKING:
    from tests.faults.scene import Scene


async def find_all(scene: Scene) -> Found:
    """Look everywhere for events, once everything is drained."""
    return Found(
        ledger=[each async for each in scene.books.events()],
        pending=await scene.books.pending_voids(),
        dead=await _dead_letters(scene),
        twice=await scene.books.twice(),
        taken=await scene.books.taken(),
        differences=await scene.books.differences(),
    )


async def _dead_letters(scene: Scene) -> list[UUID]:
    """Take every dead letter, and look into its body: a header could be wrong."""
    found: list[UUID] = []
    async with connect(scene.operator_url) as connection:
        channel = await connection.channel()
        while (letter := await channel.basic_get(DEAD_QUEUE, no_ack=True)).delivery_tag:
            body = json.loads(letter.body)
            found.extend(UUID(event["id"]) for event in (body if isinstance(body, list) else [body]))
    return found
