"""Dead letters put into ``meter.dead`` by a test, and ``meter dead-letters`` as an operator types it."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aiormq import spec
from tests.running_worker import DEADLINE_S

from meter.consumers.topology import DEAD_EXCHANGE, DEAD_QUEUE
from meter.events import CONTENT_TYPE_EVENT

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Iterable

    from aiormq.abc import AbstractChannel

_METER = str(Path(sys.executable).with_name("meter"))


@dataclass(frozen=True, slots=True)
class Buried:
    """A dead letter to put there."""

    body: bytes
    reason: str = "unknown_organization"
    org_id: str | None = "acme"
    event_id: str | None = "event-1"
    first_seen: str = "2026-01-31T12:00:00.000001Z"
    content_type: str | None = CONTENT_TYPE_EVENT


async def bury(channel: AbstractChannel, letters: Iterable[Buried]) -> None:
    """Put letters there in order, as a worker writes them."""
    for letter in letters:
        headers: dict[str, object] = {
            "meter-reason": letter.reason,
            "meter-sentence": f"a sentence about {letter.reason}",
            "meter-first-seen": letter.first_seen,
            "meter-attempts": 2,
            "meter-origin-queue": "meter.usage",
            "meter-part": "message",
            "meter-org-id": letter.org_id,
            "meter-event-id": letter.event_id,
        }
        await channel.basic_publish(
            letter.body,
            exchange=DEAD_EXCHANGE,
            routing_key=letter.reason,
            properties=spec.Basic.Properties(
                delivery_mode=2,
                content_type=letter.content_type,
                headers={name: told for name, told in headers.items() if told is not None},  # type: ignore[misc]
            ),
        )


async def bodies(channel: AbstractChannel) -> list[bytes]:
    """Take all letters there are, in order."""
    taken = []
    while isinstance(
        (message := await channel.basic_get(DEAD_QUEUE, no_ack=True)).delivery, spec.Basic.GetOk
    ):
        taken.append(message.body)
    return taken


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended and what it wrote."""

    code: int | None
    out: bytes
    err: str


async def typed(*arguments: str, amqp_url: str, dsn: str = "", answer: bytes = b"") -> Ended:
    """Run ``meter dead-letters`` to its end.

    Args:
        arguments: the command's.
        amqp_url: of the broker.
        dsn: of the database, where the command needs one.
        answer: what is typed when it asks.
    """
    process = await started(*arguments, amqp_url=amqp_url, dsn=dsn)
    async with asyncio.timeout(DEADLINE_S):
        out, err = await process.communicate(answer)
    return Ended(process.returncode, out, err.decode())


async def started(*arguments: str, amqp_url: str, dsn: str = "") -> Process:
    """Start ``meter dead-letters``; the caller ends it."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("METER_")}
    told = {"METER_AMQP_URL": amqp_url} | ({"METER_DATABASE_URL": dsn} if dsn else {})
    return await asyncio.create_subprocess_exec(
        *(_METER, "dead-letters", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=kept | {"COLUMNS": "200"} | told,
    )
