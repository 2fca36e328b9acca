"""From a batch to its acknowledgement: settle, count, write dead letters, acknowledge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from meter.consumers.batch import Message
from meter.consumers.dead_letters import DEAD, dead_letters_of, poison_letter
from meter.events import Decoded
from meter.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meter.consumers.batch import Batch
    from meter.consumers.batcher import Batcher
    from meter.consumers.dead_letters import DeadLetter, DeadLetters
    from meter.consumers.deliveries import Delivery
    from meter.consumers.metrics import WorkerMetrics
    from meter.consumers.poison import Settling
    from meter.db.outcomes import SettledEvent

log = get_logger(__name__)


class Acknowledge(Protocol):
    """Acknowledges messages; ``Consumption`` does."""

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """Tell the broker that these messages need nothing more."""


class Settler:
    """Takes batches one after the other; run it once more than batches may be settled at once."""

    def __init__(
        self,
        batcher: Batcher,
        settlement: Settling,
        dead_letters: DeadLetters,
        consumption: Acknowledge,
        metrics: WorkerMetrics,
    ) -> None:
        """Wire it.

        Args:
            batcher: where batches come from.
            settlement: settles them, patiently, and suspects with nothing beside them.
            dead_letters: where culprits go.
            consumption: where messages are acknowledged.
            metrics: of the worker.
        """
        self._batcher = batcher
        self._settlement = settlement
        self._dead_letters = dead_letters
        self._consumption = consumption
        self._metrics = metrics
        #: Events of batches that are not settled yet.
        self.held_events = 0

    async def run(self) -> None:
        """Settle batches until the batcher is closed and empty."""
        while await self._settle_next():
            pass

    async def _settle_next(self) -> bool:
        batch = await self._batcher.next_batch()
        if batch is None:
            return False
        try:
            await self._finish(batch)
        finally:
            self._batcher.settled()
        return True

    async def _finish(self, batch: Batch) -> None:
        if batch.suspects:
            await self._finish_suspects(batch.suspects)
            return
        clean, culprits, letters = await self._settle(batch)
        # Those without a culprit do not wait for the dead letters of others.
        await self._consumption.acknowledge(clean)
        if letters:
            await self._dead_letters.publish(letters)
            await self._consumption.acknowledge(culprits)

    async def _finish_suspects(self, suspects: Sequence[Delivery]) -> None:
        # Of a message that is not decoded one event is known.
        self.held_events += len(suspects)
        try:
            alone = suspects
            if len(suspects) > 1:
                batch, outcomes, alone = await self._settlement.settle_together(suspects)
                if batch.messages:
                    await self._finish_handled(batch, outcomes)
            for suspect in alone:
                await self._finish_alone(suspect)
        finally:
            self.held_events -= len(suspects)

    async def _finish_alone(self, suspect: Delivery) -> None:
        handled = await self._settlement.settle_alone(suspect)
        if handled is not None:
            await self._finish_handled(*handled)
            return
        await self._dead_letters.publish([poison_letter(suspect)])
        await self._consumption.acknowledge([Message(suspect, Decoded(()), 0)])
        await self._settlement.forget(suspect)

    async def _finish_handled(self, batch: Batch, outcomes: Sequence[SettledEvent]) -> None:
        self._metrics.count_batch(batch, outcomes)
        _, _, letters = _sorted_out(batch, outcomes)
        await self._dead_letters.publish(letters)
        await self._consumption.acknowledge(batch.messages)

    async def _settle(self, batch: Batch) -> tuple[list[Message], list[Message], list[DeadLetter]]:
        events = batch.events
        self.held_events += len(events)
        try:
            with self._metrics.settle_seconds.time():
                outcomes = await self._settlement.settle(events) if events else []
        finally:
            self.held_events -= len(events)
        self._metrics.count_batch(batch, outcomes)
        log.debug("batch settled", messages=len(batch.messages), events=len(events))
        if batch.weight == len(events) and not any(settled.outcome in DEAD for settled in outcomes):
            return batch.messages, [], []
        return _sorted_out(batch, outcomes)


def _sorted_out(
    batch: Batch, outcomes: Sequence[SettledEvent]
) -> tuple[list[Message], list[Message], list[DeadLetter]]:
    clean: list[Message] = []
    culprits: list[Message] = []
    letters: list[DeadLetter] = []
    remaining = iter(outcomes)
    for message in batch.messages:
        own = dead_letters_of(message, remaining)
        (culprits if own else clean).append(message)
        letters += own
    return clean, culprits, letters
