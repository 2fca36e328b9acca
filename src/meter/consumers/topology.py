"""The exchange and the queues usage travels through, and how they come to be."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from aiormq.exceptions import ChannelAccessRefused, ChannelNotFoundEntity, ChannelPreconditionFailed

from meter.errors import ConfigurationError
from meter.telemetry import first_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from aiormq.abc import AbstractChannel, AbstractConnection
    from pamqp.common import FieldTable

    #: Takes the channel and whether to declare passively.
    Declare = Callable[[AbstractChannel, bool], Awaitable[object]]

USAGE_EXCHANGE = "meter.usage"
USAGE_QUEUE = "meter.usage"
DEAD_EXCHANGE = "meter.dead"
DEAD_QUEUE = "meter.dead"

#: The worker decides what is poison, so the broker must drop nothing, however often a message came back.
#: "Never" (-1) is only known to RabbitMQ 4; this number is taken by every version.
DELIVERY_LIMIT = 2_147_483_647
_QUEUE_ARGUMENTS: FieldTable = {"x-queue-type": "quorum", "x-delivery-limit": DELIVERY_LIMIT}

#: Answering a declaration takes milliseconds; a cluster that elects a leader takes seconds.
_TIMEOUT_S = 30.0


async def declare_topology(connection: AbstractConnection) -> None:
    """Make sure exchange, queues and binding are there.

    What is there is never changed, so a broker user that may configure nothing can call this, once an
    operator has. Whether it is as it should be is only told to a user that may configure.

    Args:
        connection: an open connection; channels of its own are opened and closed.

    Raises:
        ConfigurationError: something is missing and this broker user may not make it, or is there and made
            otherwise: a queue whose delivery limit the broker would drop messages by, for instance.
    """
    parts: dict[str, Declare] = {
        f'exchange "{USAGE_EXCHANGE}"': _declare_usage_exchange,
        f'exchange "{DEAD_EXCHANGE}"': _declare_dead_exchange,
        f'queue "{USAGE_QUEUE}"': _declare_usage_queue,
        f'queue "{DEAD_QUEUE}"': _declare_dead_queue,
    }
    made, may_compare = False, True
    for what, declare in parts.items():
        missing = await _is_missing(connection, declare)
        # Who was refused once is spared the others: the broker logs each as an error.
        if missing or may_compare:
            may_compare = await _declare_in_earnest(connection, what, declare, missing=missing)
        made = made or missing
    try:
        async with _channel(connection) as channel:
            await channel.queue_bind(USAGE_QUEUE, USAGE_EXCHANGE, routing_key="#", timeout=_TIMEOUT_S)
            # An exchange of its own, because a right to the default exchange is a right to every queue.
            await channel.queue_bind(DEAD_QUEUE, DEAD_EXCHANGE, timeout=_TIMEOUT_S)
    except ChannelAccessRefused as error:
        # Bindings cannot be looked at; where everything was there already an operator has seen to it.
        if made:
            raise ConfigurationError(_may_not("binding of a queue")) from error


async def queue_depth(channel: AbstractChannel, queue: str, *, seconds: float | None = _TIMEOUT_S) -> int:
    """Ask how many messages are ready in a queue.

    Args:
        channel: an open channel; the broker closes it where the queue does not exist.
        queue: the queue's name.
        seconds: how long it may take; as long as it takes where None.

    Raises:
        ChannelNotFoundEntity: there is no such queue.
    """
    answer = await channel.queue_declare(queue, passive=True, timeout=seconds)
    return answer.message_count or 0


async def _is_missing(connection: AbstractConnection, declare: Declare) -> bool:
    try:
        async with _channel(connection) as channel:
            await declare(channel, True)
    except ChannelNotFoundEntity:
        return True
    return False


async def _declare_in_earnest(
    connection: AbstractConnection, what: str, declare: Declare, *, missing: bool
) -> bool:
    """Make a part, or have the broker compare it with what it should be; return whether this user may."""
    try:
        async with _channel(connection) as channel:
            await declare(channel, False)
    except ChannelAccessRefused as error:
        if missing:
            raise ConfigurationError(_may_not(what)) from error
        return False
    except ChannelPreconditionFailed as error:
        raise ConfigurationError(
            f"the {what} was not made by meter and is not as it must be; delete it once it is empty, then "
            f"start again: the broker says: {first_line(error)}"
        ) from error
    return True


async def _declare_usage_exchange(channel: AbstractChannel, passive: bool) -> object:
    return await _declare_exchange(channel, USAGE_EXCHANGE, "topic", passive)


async def _declare_dead_exchange(channel: AbstractChannel, passive: bool) -> object:
    return await _declare_exchange(channel, DEAD_EXCHANGE, "fanout", passive)


async def _declare_exchange(channel: AbstractChannel, name: str, kind: str, passive: bool) -> object:
    return await channel.exchange_declare(
        name, exchange_type=kind, durable=True, passive=passive, timeout=_TIMEOUT_S
    )


async def _declare_usage_queue(channel: AbstractChannel, passive: bool) -> object:
    return await _declare_queue(channel, USAGE_QUEUE, passive)


async def _declare_dead_queue(channel: AbstractChannel, passive: bool) -> object:
    return await _declare_queue(channel, DEAD_QUEUE, passive)


async def _declare_queue(channel: AbstractChannel, name: str, passive: bool) -> object:
    return await channel.queue_declare(
        name, durable=True, passive=passive, arguments=_QUEUE_ARGUMENTS, timeout=_TIMEOUT_S
    )


@contextlib.asynccontextmanager
async def _channel(connection: AbstractConnection) -> AsyncIterator[AbstractChannel]:
    channel = await connection.channel(publisher_confirms=False, timeout=_TIMEOUT_S)
    try:
        yield channel
    finally:
        await channel.close()


def _may_not(what: str) -> str:
    return (
        f"the {what} is missing and this broker user may not make it; "
        "start a worker once with a broker user that may"
    )
