"""What cannot be settled goes to ``meter.dead``, and stays unacknowledged until the broker has it there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from aiormq.exceptions import DeliveryError, PublishError
from pamqp.commands import Basic

from meter.amqp import REFUSALS_MAX, BrokerLost
from meter.backoff import Backoff
from meter.consumers.answers import answered_in_time
from meter.consumers.topology import DEAD_EXCHANGE, USAGE_QUEUE, declare_topology
from meter.db.outcomes import Outcome
from meter.events import CONTENT_TYPE_EVENT, RefusalReason
from meter.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aiormq.abc import AbstractChannel, AbstractConnection
    from pamqp.common import FieldTable

    from meter.consumers.batch import Message
    from meter.consumers.deliveries import Delivery
    from meter.consumers.metrics import WorkerMetrics
    from meter.db.outcomes import SettledEvent

#: Dead letters on their way at once; each can be as large as a message.
_AT_ONCE = 32
#: A broker that is well confirms within this; a quorum queue writes to disk first. One whose queue has lost
#: its leader without a word says nothing, and another node may know better.
_CONFIRM_TIMEOUT_S = 10.0
_PERSISTENT = 2
#: Outcomes that are no part of the ledger.
DEAD = frozenset((Outcome.CONFLICT, Outcome.REFUSED))

_SENTENCES: dict[str, str] = {
    RefusalReason.CONFLICT: "an event with this identity and other content was recorded before",
    RefusalReason.UNKNOWN_ORGANIZATION: "no such organization; add it and replay this event",
    RefusalReason.FUTURE_TIME: "time must be at most five minutes past the database's clock",
    RefusalReason.AMOUNT_OVERFLOW: "the credits of this event have more than fourteen integer digits",
    RefusalReason.VOID_OF_VOID: "it names a void, which cannot be taken back; publish the usage anew",
    RefusalReason.NOT_SETTLEABLE: "the database refuses this event whenever it is settled alone",
    RefusalReason.POISON: "a worker that handled nothing but this message died or hung, three times",
}

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message for ``meter.dead``.

    Attributes:
        body: the exact bytes of the message or of the one culprit.
        content_type: with which the body can be replayed.
        reason: a code of ``RefusalReason``.
        sentence: what is wrong, for people.
        org_id: the organization, where known.
        event_id: the event, where known.
        request_id: the caller's request, where known.
        delivery: the delivery it came with.
        whole_message: whether the body is that of the message; else it is one element of its array.
    """

    body: bytes
    content_type: str | None
    reason: str
    sentence: str
    org_id: str | None
    event_id: str | None
    request_id: str | None
    delivery: Delivery
    whole_message: bool


def dead_letters_of(message: Message, outcomes: Iterator[SettledEvent]) -> list[DeadLetter]:
    """Find what of a message cannot be settled.

    Args:
        message: a message of a batch that was settled.
        outcomes: of the batch's events from this message's first on; as many as it has events are taken.

    Returns:
        A dead letter for every refusal, conflict and refused event.
    """
    delivery, decoded = message.delivery, message.decoded
    letters = [
        DeadLetter(
            body=refusal.original,
            content_type=delivery.content_type if refusal.whole_message else CONTENT_TYPE_EVENT,
            reason=refusal.reason.value,
            sentence=refusal.sentence,
            org_id=refusal.org_id,
            event_id=refusal.event_id,
            request_id=None,
            delivery=delivery,
            whole_message=refusal.whole_message,
        )
        for refusal in decoded.refusals
    ]
    for index, settled in enumerate(islice(outcomes, len(decoded.events))):
        if settled.outcome is Outcome.CONFLICT:
            letters.append(_letter(message, index, RefusalReason.CONFLICT.value))
        elif settled.outcome is Outcome.REFUSED:
            letters.append(_letter(message, index, settled.reason or RefusalReason.NOT_SETTLEABLE.value))
    return letters


def poison_letter(delivery: Delivery) -> DeadLetter:
    """Make the dead letter of a message that killed or hung every worker that held it; it is not looked into.

    Args:
        delivery: as it came.
    """
    return DeadLetter(
        body=delivery.body,
        content_type=delivery.content_type,
        reason=RefusalReason.POISON.value,
        sentence=_SENTENCES[RefusalReason.POISON],
        org_id=None,
        event_id=None,
        request_id=None,
        delivery=delivery,
        whole_message=True,
    )


class DeadLetters:
    """Writes dead letters through one channel with confirms."""

    def __init__(
        self, connection: AbstractConnection, channel: AbstractChannel, metrics: WorkerMetrics
    ) -> None:
        """Use an open channel.

        Args:
            connection: the channel's; the queue is declared anew on it when it has gone.
            channel: with publisher confirms.
            metrics: of the worker.
        """
        self._connection = connection
        self._channel = channel
        self._metrics = metrics
        #: Why dead letters cannot be written now; None when they can.
        self.trouble: str | None = None

    async def publish(self, letters: Sequence[DeadLetter]) -> None:
        """Write dead letters; return once the broker has confirmed every one.

        What the broker refuses is tried again, a few times over this channel.

        Args:
            letters: the dead letters.

        Raises:
            AMQPError: the connection or the channel broke; some may have been written.
            BrokerLost: it goes on refusing them over this channel, or says nothing; the same.
        """
        for start in range(0, len(letters), _AT_ONCE):
            some = letters[start : start + _AT_ONCE]
            async with asyncio.TaskGroup() as tasks:
                for letter in some:
                    tasks.create_task(self._publish_until_confirmed(letter))
            self._metrics.count_dead_letters(letter.reason for letter in some)
            for letter in some:
                log.warning(
                    "dead letter",
                    reason=letter.reason,
                    org_id=letter.org_id,
                    event_id=letter.event_id,
                    correlation_id=letter.request_id or letter.event_id,
                    attempts=letter.delivery.attempts,
                )

    async def _publish_until_confirmed(self, letter: DeadLetter) -> None:
        backoff = Backoff()
        refusals = 0
        while True:
            try:
                publishing = self._channel.basic_publish(
                    letter.body,
                    exchange=DEAD_EXCHANGE,
                    routing_key=letter.reason,
                    properties=_properties(letter),
                    mandatory=True,
                )
                await answered_in_time(self._connection, publishing, _CONFIRM_TIMEOUT_S, self._note_blocked)
            except TimeoutError as error:
                self._note_trouble(error)
                raise BrokerLost("it does not confirm dead letters") from error
            except DeliveryError as error:
                self._note_trouble(error)
                # Unroutable means that the queue has gone; refused, only that nobody leads it at the moment.
                queue_is_gone = isinstance(error, PublishError)
                refusals += not queue_is_gone
                if refusals == REFUSALS_MAX:
                    raise BrokerLost("it refuses dead letters") from error
            else:
                self._note_success()
                return
            await asyncio.sleep(backoff.next_seconds())
            if queue_is_gone:
                await declare_topology(self._connection)

    def _note_blocked(self) -> None:
        if self.trouble is None:
            log.error("dead letters wait: the broker is short of memory or disk")
        self.trouble = "dead letters wait: the broker is short of memory or disk"

    def _note_trouble(self, error: Exception) -> None:
        if self.trouble is None:
            log.error("dead letters are not confirmed, trying again", error=type(error).__name__)
        self.trouble = f"the broker does not confirm dead letters: {type(error).__name__}"

    def _note_success(self) -> None:
        if self.trouble is not None:
            log.info("dead letters are confirmed again")
        self.trouble = None


def _letter(message: Message, index: int, reason: str) -> DeadLetter:
    delivery, event = message.delivery, message.decoded.events[index]
    return DeadLetter(
        body=message.decoded.original(index),
        content_type=CONTENT_TYPE_EVENT if message.decoded.batch else delivery.content_type,
        reason=reason,
        sentence=_SENTENCES.get(reason, "the event cannot be settled"),
        org_id=event.org_id,
        event_id=event.id,
        request_id=event.request_id,
        delivery=delivery,
        whole_message=not message.decoded.batch,
    )


def _properties(letter: DeadLetter) -> Basic.Properties:
    headers: FieldTable = {
        "meter-reason": letter.reason,
        "meter-sentence": letter.sentence,
        "meter-first-seen": letter.delivery.first_seen.isoformat().replace("+00:00", "Z"),
        "meter-attempts": letter.delivery.attempts,
        "meter-origin-queue": USAGE_QUEUE,
        "meter-part": "message" if letter.whole_message else "element",
    }
    if letter.delivery.content_type is not None:
        headers["meter-original-content-type"] = letter.delivery.content_type
    if letter.org_id is not None:
        headers["meter-org-id"] = letter.org_id
    if letter.event_id is not None:
        headers["meter-event-id"] = letter.event_id
    return Basic.Properties(delivery_mode=_PERSISTENT, content_type=letter.content_type, headers=headers)
