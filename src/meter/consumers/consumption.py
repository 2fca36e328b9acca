"""Consuming from ``meter.usage`` over one channel: deliveries in, acknowledgements out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from meter.amqp import BrokerLost
from meter.consumers.acknowledgement import Watermark
from meter.consumers.allowance import Allowance
from meter.consumers.answers import answered
from meter.consumers.batcher import Batcher
from meter.consumers.prefetch import Prefetch
from meter.consumers.topology import USAGE_QUEUE
from meter.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiormq.abc import AbstractChannel, AbstractConnection, DeliveredMessage
    from pamqp.commands import Basic

    from meter.consumers.batch import Message
    from meter.consumers.deliveries import Delivery
    from meter.consumers.tap import Tap
    from meter.settings import Settings

#: While reading is held back by the allowance, an answer of the broker waits behind the messages it sent
#: before. After so long the connection is given up: the next one begins with a low prefetch.
_ANSWER_TIMEOUT_S = 60.0

_OPEN_TIMEOUT_S = 30.0

log = get_logger(__name__)


class Consumption:
    """One channel's worth of consuming; thrown away with the channel."""

    def __init__(self, settings: Settings, tap: Tap) -> None:
        """Prepare; nothing is consumed yet.

        Args:
            settings: the bounds of what is held, and of a batch.
            tap: in the connection that will deliver.
        """
        self._tap = tap
        self.batcher = Batcher(
            settings.batch_max_events,
            settings.batch_max_wait_ms,
            at_once=settings.settle_connections,
            decoded=self._observe,
            suspect_attempts=settings.suspect_after_deliveries + 1,
        )
        self.allowance = Allowance(settings.prefetch_bytes)
        self._prefetch = Prefetch(settings.prefetch_events, settings.prefetch_bytes)
        self._prefetch_changed = asyncio.Event()
        self._watermark = Watermark()
        #: Acks must reach the broker in the order of their tags.
        self._acking = asyncio.Lock()
        self._subscribing = asyncio.Lock()
        self._consumer_tag: str | None = None
        self._cancelled_by_broker = asyncio.Event()
        self._stopping = False
        #: Whether something was delivered since that was looked at last.
        self._heard = False
        self._channel: AbstractChannel | None = None

    async def start(self, connection: AbstractConnection) -> None:
        """Open the channel and begin to consume.

        Args:
            connection: the tap's; used for nothing else that is answered, because reading from it may be held
                back.

        Raises:
            AMQPError: the broker refused or is gone.
        """
        self._channel = await connection.channel(publisher_confirms=False, timeout=_OPEN_TIMEOUT_S)
        self._tap.open(self._channel.number, self.allowance, self._receive)
        self._channel.on_consumer_cancel_callbacks.add(self._on_cancel)
        await self._subscribe(self._channel)

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """Note that messages need nothing more; acknowledge as far as everything before is done, too.

        Args:
            messages: committed, with every dead letter of theirs confirmed; in the order of delivery.

        Raises:
            ChannelInvalidStateError: the channel is gone; the broker delivers again what was not acked.
        """
        if not messages:
            return
        first, last = messages[0].delivery.tag, messages[-1].delivery.tag
        if last - first + 1 == len(messages):
            self._watermark.done(first, last)
        else:
            for message in messages:
                self._watermark.done(message.delivery.tag, message.delivery.tag)
        self.allowance.release(sum(len(message.delivery.body) for message in messages))
        async with self._acking:
            tag = self._watermark.take()
            if tag is not None and self._channel is not None:
                await self._channel.basic_ack(tag, multiple=True, wait=False)

    async def adapt(self) -> None:
        """Change the prefetch whenever messages have changed in size; runs until cancelled."""
        while True:
            await self._prefetch_changed.wait()
            self._prefetch_changed.clear()
            if self._channel is not None:
                await self._subscribe(self._channel)

    async def prove(self) -> None:
        """See that the broker still lets us consume; where something was delivered of late, it does.

        Raises:
            AMQPError: it does not, or is gone.
        """
        heard, self._heard = self._heard, False
        # While much is held nothing more is read, its answers neither.
        if not heard and not self.allowance.held_bytes and self._channel is not None:
            await self._subscribe(self._channel)

    async def watch(self) -> None:
        """Wait until the channel or the consumer is gone.

        Raises:
            BrokerLost: the consumer was cancelled by the broker, or the channel closed.
        """
        if self._channel is None:
            return
        closing = self._channel.closing
        cancelled = asyncio.ensure_future(self._cancelled_by_broker.wait())
        try:
            await asyncio.wait((closing, cancelled), return_when=asyncio.FIRST_COMPLETED)
        finally:
            cancelled.cancel()
        if self._cancelled_by_broker.is_set():
            raise BrokerLost(f'the broker cancelled the consumer of queue "{USAGE_QUEUE}"')
        raise BrokerLost("the channel was closed") from closing_reason(closing)

    async def stop(self) -> None:
        """Consume nothing more; what is held can still be settled and acknowledged."""
        self._stopping = True
        self.batcher.close()
        # What the broker has sent already is read and left alone, so that its answers come through.
        self.allowance.lift()
        async with self._subscribing:
            if self._channel is not None and self._consumer_tag is not None:
                await self._channel.basic_cancel(self._consumer_tag, timeout=_ANSWER_TIMEOUT_S)

    def _receive(self, deliveries: list[Delivery]) -> None:
        self._heard = True
        if self._stopping:
            self.allowance.release(sum(len(delivery.body) for delivery in deliveries))
            return
        self.batcher.extend(deliveries)

    def _observe(self, messages: int, events: int, size: int) -> None:
        self._prefetch.observe(messages, events, size)
        if self._prefetch.change() is not None:
            self._prefetch_changed.set()

    async def _subscribe(self, channel: AbstractChannel) -> None:
        """Consume with the present prefetch count; it counts for consumers that begin after it was set."""
        async with self._subscribing:
            if self._stopping:
                return
            count = self._prefetch.count
            if self._consumer_tag is not None:
                await answered(channel.basic_cancel(self._consumer_tag, timeout=_ANSWER_TIMEOUT_S))
            await answered(channel.basic_qos(prefetch_count=count, timeout=_ANSWER_TIMEOUT_S))
            answer = await answered(channel.basic_consume(USAGE_QUEUE, _never, timeout=_ANSWER_TIMEOUT_S))
            self._consumer_tag = answer.consumer_tag
            log.debug("prefetch set", prefetch=count)

    def _on_cancel(self, _frame: Basic.Cancel) -> None:
        self._cancelled_by_broker.set()


def closing_reason(closing: asyncio.Future[object]) -> BaseException | None:
    """Say why a connection or a channel of the AMQP library closed.

    Args:
        closing: its future, done.

    Returns:
        The error; None where there is none.
    """
    return asyncio.CancelledError() if closing.cancelled() else closing.exception()


async def _never(_message: DeliveredMessage) -> None:
    """The library wants a callback of every consumer; it never sees a delivery."""
