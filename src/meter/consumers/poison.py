"""Messages that may be what kills or hangs workers: set aside after three deaths over nothing else.

The worker decides what is poison, not the broker, because a count of deliveries says little: whatever was
prefetched beside the culprit comes back as often, and so does everything while a worker restarts during an
outage. So the count only makes a message a *suspect*. Suspects are handled with nothing else decoded or
settled beside them in this worker (the batcher sees to that), once the database answers: before they are
looked into, notes of them are committed, and taken back when the worker has come through.

Most suspects are innocent, and there may be thousands, so those without a note are handled a hundred at a
time. A note left behind says that its message was among those over which a process ended; from then on it is
handled alone, and the innocent ones of that hundred are settled at once. A note left behind by a process that
is gone and had nothing but that message is one death of which only that message can be the reason; after
three it goes to the dead letters without being decoded, and everything that came beside it is settled.

What is not a death: an error of the database (the note is taken back, or was taken on a server that is not
there any more), a long wait for it, a lost broker, and a worker told to stop; in all of them the process
lives to say so. A worker that hangs becomes one that died: the watchdog (``watchdog.py``) ends a process that
does nothing at all. Waiting for the database is not hanging.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from typing import TYPE_CHECKING, Protocol

from meter.backoff import Backoff
from meter.consumers.batch import Batch, decoded_message
from meter.consumers.patience import LONGEST_WAIT_S, until_answered
from meter.db.outcomes import DatabaseUnavailable
from meter.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meter.consumers.database_state import DatabaseState
    from meter.consumers.deliveries import Delivery
    from meter.consumers.settling import PatientSettlement
    from meter.db.outcomes import SettledEvent
    from meter.db.suspects import Suspects
    from meter.events import Event

#: Workers that may die over a message. One can be chance: an orchestrator that kills, a machine that fails.
DEATHS = 3

log = get_logger(__name__)


class Settling(Protocol):
    """Settles batches and suspects; ``CautiousSettlement`` does."""

    async def settle(self, events: Sequence[Event]) -> list[SettledEvent]:
        """Settle the events of a batch, however long it takes; one outcome for each, in order."""

    async def settle_together(
        self, suspects: Sequence[Delivery]
    ) -> tuple[Batch, list[SettledEvent], list[Delivery]]:
        """Settle suspects, however long it takes; the last are left, each to be settled alone."""

    async def settle_alone(self, suspect: Delivery) -> tuple[Batch, list[SettledEvent]] | None:
        """Settle a suspect, however long it takes; None where it is poison."""

    async def forget(self, suspect: Delivery) -> None:
        """Forget a suspect that is in the dead letters now."""

    async def until_it_may_settle(self, stop: asyncio.Event) -> None:
        """Wait for a database that did not settle to be written to again."""


class CautiousSettlement:
    """Settles batches, and suspects with nothing beside them."""

    def __init__(self, patient: PatientSettlement, suspects: Suspects, database: DatabaseState) -> None:
        """Wire it.

        Args:
            patient: settles.
            suspects: notes which of them are handled.
            database: told of every success and failure, and of attempts without an answer.
        """
        self._patient = patient
        self._suspects = suspects
        self._database = database

    async def settle(self, events: Sequence[Event]) -> list[SettledEvent]:
        """Settle the events of a batch, however long it takes.

        Args:
            events: in the order of their messages.

        Returns:
            One outcome for each, in order.
        """
        return await self._patient.settle(events)

    async def settle_together(
        self, suspects: Sequence[Delivery]
    ) -> tuple[Batch, list[SettledEvent], list[Delivery]]:
        """Settle suspects together, however long it takes; the caller sees to it that nothing is beside them.

        Args:
            suspects: as they were delivered.

        Returns:
            The batch with those that were settled, and their outcomes; and those of which there is a note
            already, not decoded, each to be settled alone.
        """

        async def attempt() -> tuple[Batch, list[SettledEvent], list[Delivery]]:
            digests = [_digest(suspect) for suspect in suspects]
            async with self._suspects.together(digests) as known:
                by_note = list(zip(suspects, digests, strict=True))
                handled = await self._settled(suspect for suspect, digest in by_note if digest not in known)
            return *handled, [suspect for suspect, digest in by_note if digest in known]

        return await until_answered(self._database, attempt)

    async def settle_alone(self, suspect: Delivery) -> tuple[Batch, list[SettledEvent]] | None:
        """Settle a suspect, however long it takes; the caller sees to it that it is alone.

        Args:
            suspect: as it was delivered.

        Returns:
            The batch with nothing but its message, and the outcomes; None where it is poison: then it was not
            decoded, and is to be forgotten once it is a dead letter.
        """

        async def attempt() -> tuple[Batch, list[SettledEvent]] | None:
            async with self._suspects.alone(_digest(suspect)) as note:
                if note.deaths >= DEATHS:
                    note.keep()
                    return None
                if note.deaths:
                    log.warning(
                        "a message over which a worker died is handled alone",
                        body_sha256=hashlib.sha256(suspect.body).hexdigest(),
                        attempts=suspect.attempts,
                        deaths=note.deaths,
                    )
                return await self._settled([suspect])

        return await until_answered(self._database, attempt)

    async def _settled(self, suspects: Iterable[Delivery]) -> tuple[Batch, list[SettledEvent]]:
        batch = Batch()
        for suspect in suspects:
            batch.add(decoded_message(suspect))
        return batch, await self._patient.settle_or_raise(batch.events) if batch.events else []

    async def forget(self, suspect: Delivery) -> None:
        """Forget a suspect that is in the dead letters now, so that it begins anew when it is replayed.

        Args:
            suspect: as it was delivered.
        """
        await self._suspects.forget(_digest(suspect))

    async def until_it_may_settle(self, stop: asyncio.Event) -> None:
        """Wait for a database that did not settle to be written to again; return at once where it did.

        Args:
            stop: ends the wait.
        """
        backoff = Backoff(longest=LONGEST_WAIT_S)
        while self._database.trouble is not None and not stop.is_set():
            try:
                await self._suspects.try_a_note()
            except DatabaseUnavailable as error:
                self._database.lost(error)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), backoff.next_seconds())
            else:
                self._database.answered()


def _digest(delivery: Delivery) -> bytes:
    content_type = (delivery.content_type or "").encode()
    return hashlib.sha256(content_type + b"\0" + delivery.body).digest()
