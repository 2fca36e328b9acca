"""One connection to the broker with one confirming channel; it is built anew rather than mended."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import aiormq
import aiormq.abc

from meter.amqp import CONNECT_SECONDS, BrokerLost, broker_connection, look_at, said
from meter.events import CONTENT_TYPE_BATCH, encode_batch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from meter.nodes import Node
    from meter.publisher.outbox import Message

EXCHANGE = "meter.usage"
#: How long a confirm may take, in seconds, before the connection is given up. A healthy quorum queue needs
#: milliseconds, one that elects a leader seconds; a needless reconnect costs only duplicates.
CONFIRM_SECONDS = 30.0
_PERSISTENT = 2


class Link:
    """An open connection, ready to publish."""

    def __init__(
        self,
        connection: aiormq.abc.AbstractConnection,
        channel: aiormq.abc.AbstractChannel,
        confirm_seconds: float,
    ) -> None:
        self._connection = connection
        self._channel = channel
        self._confirm_seconds = confirm_seconds

    async def publish(self, message: Message) -> None:
        """Send a message and wait until the broker has it.

        Raises:
            aiormq.DeliveryError: the broker refused it, or (``PublishError``) had no queue for it.
            BrokerLost: the connection is gone or does not answer; the message may or may not have arrived.
        """
        await self._connection.ready()
        publishing = asyncio.ensure_future(
            self._channel.basic_publish(
                encode_batch(message.events),
                exchange=EXCHANGE,
                routing_key=message.routing_key,
                mandatory=True,
                properties=aiormq.spec.Basic.Properties(
                    content_type=CONTENT_TYPE_BATCH,
                    delivery_mode=_PERSISTENT,
                    headers={"meter-published-at": time.time_ns() // 1_000},
                ),
            )
        )
        publishing.add_done_callback(look_at)
        try:
            await self._until_confirmed(publishing)
        finally:
            publishing.cancel()

    async def lost(self) -> None:
        """Wait until the connection or its channel is gone.

        Raises:
            BrokerLost: always; with the reason.
        """
        closings = (self._channel.closing, self._connection.closing)
        done, _ = await asyncio.wait(closings, return_when=asyncio.FIRST_COMPLETED)
        closing = done.pop()
        reason = None if closing.cancelled() else closing.exception()
        raise BrokerLost(said(reason))

    async def _until_confirmed(self, publishing: asyncio.Future[Any]) -> None:
        while not (await asyncio.wait({publishing}, timeout=self._confirm_seconds))[0]:
            if not await self._is_blocked():
                raise BrokerLost(f"the broker confirmed nothing for {self._confirm_seconds:g} s")
            # It will confirm once it reads again; a new connection would only be blocked as well. Should this
            # one break meanwhile, ``lost`` ends the wait.
            await self._connection.ready()
        # aiormq cancels what is pending on a closed channel; that is not a cancelling of our task.
        if publishing.cancelled():
            raise BrokerLost("the channel was closed")
        if (failure := publishing.exception()) is None:
            return
        if isinstance(failure, aiormq.DeliveryError):
            raise failure
        raise BrokerLost(said(failure)) from failure

    async def _is_blocked(self) -> bool:
        # A broker that is short of memory or disk says so and stops reading.
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await self._connection.ready()
            return False
        return True


@asynccontextmanager
async def connected(
    node: Node, *, name: str, confirm_seconds: float = CONFIRM_SECONDS
) -> AsyncIterator[Link]:
    """Open a connection for as long as the context lasts.

    Args:
        node: where; aiormq's parameters (``heartbeat``, ``cafile``, …) in the query of its address.
        name: what the broker's operators see as the connection's name.
        confirm_seconds: how long a confirm may take before the connection counts as lost.

    Raises:
        BrokerLost: it could not be opened.
    """
    async with broker_connection(node.url, name=name, connect_seconds=node.connect_seconds) as connection:
        yield Link(connection, await _confirming_channel(connection), confirm_seconds)


async def _confirming_channel(connection: aiormq.abc.AbstractConnection) -> aiormq.abc.AbstractChannel:
    opening = asyncio.ensure_future(connection.channel(publisher_confirms=True))
    opening.add_done_callback(look_at)
    try:
        done, _ = await asyncio.wait({opening}, timeout=CONNECT_SECONDS)
    finally:
        opening.cancel()
    if not done:
        raise BrokerLost(f"the broker opened no channel for {CONNECT_SECONDS:g} s")
    if opening.cancelled():
        raise BrokerLost("the connection was closed while its channel was opened")
    if (failure := opening.exception()) is not None:
        raise BrokerLost(said(failure)) from failure
    return opening.result()
