"""What an operator does with dead letters: look, count, replay, remove."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

from aiormq.exceptions import (
    AMQPError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    PublishError,
)
from pamqp.commands import Basic

from meter.amqp import BrokerLost, said
from meter.consumers.consumption import closing_reason
from meter.consumers.dead_queue import open_dead_queue
from meter.consumers.deliveries import PUBLISHED_AT_HEADER
from meter.consumers.topology import DEAD_QUEUE, USAGE_EXCHANGE
from meter.errors import MeterError
from meter.nodes import connection_to_any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

    from aiormq.abc import AbstractChannel, AbstractConnection

    from meter.consumers.kept_letters import KeptLetter, Selection

    #: Makes sure of letters; returns those that may be removed, and what went wrong with the others.
    Dispose = Callable[[Sequence[KeptLetter]], Awaitable[tuple[list[KeptLetter], Exception | None]]]

_CONFIRM_TIMEOUT_S = 30.0
#: Letters made sure of at once: of so many a process that is killed leaves a copy at the most.
_AT_ONCE = 200
_PERSISTENT = 2
_NANOSECONDS_A_MICROSECOND = 1_000


class BrokerRefused(MeterError):
    """The broker does not let this user do what dead letters need."""


class Retrieval:
    """An operator's connection to the broker."""

    def __init__(self, connection: AbstractConnection) -> None:
        """Use an open connection.

        Args:
            connection: as a user that may read ``meter.dead`` and, to replay, write to ``meter.usage``.
        """
        self._connection = connection

    async def letters(self, selection: Selection) -> AsyncGenerator[KeptLetter, None]:
        """Look at dead letters, in the order of the queue, without changing it.

        Args:
            selection: which.

        Yields:
            One after the other; while it goes on nobody else can see them. Go on to the end: the queue keeps
            its order then.
        """
        async with open_dead_queue(self._connection) as queue, aclosing(queue.pages()) as pages:
            async for page in pages:
                for letter in page:
                    if selection.has(letter):
                        yield letter

    async def count(self, selection: Selection, looked_at: Callable[[int], object]) -> int:
        """Count dead letters.

        Args:
            selection: which.
            looked_at: told how many more were looked at.
        """
        async with open_dead_queue(self._connection) as queue:
            if selection.is_everything:
                return await queue.depth()
            count = 0
            async with aclosing(queue.pages()) as pages:
                async for page in pages:
                    count += sum(map(selection.has, page))
                    looked_at(len(page))
            return count

    async def remove(self, selection: Selection, dispose: Dispose, removed: Callable[[int], object]) -> int:
        """Remove dead letters, each only when it has been made sure of.

        Args:
            selection: which.
            dispose: makes sure of some.
            removed: told how many more were removed.

        Returns:
            How many were removed.

        Raises:
            MeterError: something went wrong; what was not removed stays.
        """
        total = 0
        async with open_dead_queue(self._connection) as queue, aclosing(queue.pages()) as pages:
            async for page in pages:
                meant = [letter for letter in page if selection.has(letter)]
                for start in range(0, len(meant), _AT_ONCE):
                    safe, failure = await dispose(meant[start : start + _AT_ONCE])
                    await queue.remove(safe)
                    total += len(safe)
                    removed(len(safe))
                    if failure is not None:
                        raise failure
        return total

    async def replay(self, selection: Selection, replayed: Callable[[int], object]) -> int:
        """Publish dead letters as usage again; each leaves ``meter.dead`` when ``meter.usage`` has it.

        Args:
            selection: which.
            replayed: told how many more were replayed.

        Returns:
            How many.

        Raises:
            MeterError: the broker did not take one; it and those behind it stay. A copy of some may have been
                taken, which settles as a duplicate.
        """
        channel = await self._connection.channel(publisher_confirms=True, timeout=_CONFIRM_TIMEOUT_S)

        async def publish(
            letters: Sequence[KeptLetter],
        ) -> tuple[list[KeptLetter], Exception | None]:
            return await _published(channel, letters)

        try:
            return await self.remove(selection, publish, replayed)
        finally:
            await channel.close()


@asynccontextmanager
async def open_retrieval(url: str) -> AsyncIterator[Retrieval]:
    """Connect for as long as the context lasts.

    Args:
        url: of the broker, with a password; of several nodes the first that answers is used.

    Yields:
        The connection.

    Raises:
        BrokerLost: the broker cannot be reached or went away.
        BrokerRefused: its user may not do this, or a queue is missing.
    """
    try:
        async with connection_to_any(url, name="meter dead-letters") as connection:
            yield Retrieval(connection)
    except BrokerLost as error:
        raise BrokerLost(f"{error}; what is in {DEAD_QUEUE} stays there; check METER_AMQP_URL") from error
    except ChannelAccessRefused as error:
        raise BrokerRefused(
            f"the broker refuses it: {said(error)}; it takes a user that may read {DEAD_QUEUE} and, "
            f"to replay, write to {USAGE_EXCHANGE}"
        ) from error
    except ChannelNotFoundEntity as error:
        raise BrokerRefused(
            f"the broker has no such thing: {said(error)}; a worker whose user may configure makes it"
        ) from error
    except (AMQPError, ChannelInvalidStateError, OSError) as error:
        raise BrokerLost(f"the broker went away: {said(error)}") from error


async def _published(
    channel: AbstractChannel, letters: Sequence[KeptLetter]
) -> tuple[list[KeptLetter], Exception | None]:
    sending = [asyncio.ensure_future(_publish(channel, letter)) for letter in letters]
    ended = await asyncio.gather(*sending, return_exceptions=True)
    confirmed = [
        letter for letter, end in zip(letters, ended, strict=True) if not isinstance(end, BaseException)
    ]
    failures = [end for end in ended if isinstance(end, BaseException)]
    return confirmed, _told(channel, failures[0]) if failures else None


async def _publish(channel: AbstractChannel, letter: KeptLetter) -> None:
    await channel.basic_publish(
        letter.body,
        exchange=USAGE_EXCHANGE,
        routing_key=letter.org_id or "",
        properties=Basic.Properties(
            delivery_mode=_PERSISTENT,
            content_type=letter.content_type,
            headers={PUBLISHED_AT_HEADER: time.time_ns() // _NANOSECONDS_A_MICROSECOND},
        ),
        mandatory=True,
        timeout=_CONFIRM_TIMEOUT_S,
    )


def _told(channel: AbstractChannel, failure: BaseException) -> Exception:
    """Say why a letter was not taken; the library cancels what is pending on a channel that was closed."""
    if isinstance(failure, PublishError):
        return BrokerRefused(
            f"no queue takes what is published to {USAGE_EXCHANGE}; "
            "a worker whose user may configure makes one"
        )
    if isinstance(failure, TimeoutError):
        return BrokerLost(f"the broker did not confirm within {_CONFIRM_TIMEOUT_S:g} s")
    if isinstance(failure, asyncio.CancelledError | ChannelInvalidStateError):
        reason = closing_reason(channel.closing) if channel.closing.done() else None
        return reason if isinstance(reason, Exception) else BrokerLost("the channel was closed")
    return failure if isinstance(failure, Exception) else BrokerLost(said(failure))
