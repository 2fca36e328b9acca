"""Looking through ``meter.dead`` page by page: nothing leaves it but what is acknowledged.

RabbitMQ has no way to look at a message without taking it. So letters are taken without an acknowledgement,
a page at a time, and the broker gives back what is left of all pages when the channel is closed, or breaks,
or this process dies. Each page has a consumer of its own, whose prefetch is the page's size: no more is ever
on its way here, however long the queue is.

The broker gives back in order what a consumer held, and up to 32 consumers in the order of their names, as
was found out by trying; given back explicitly (``basic.nack``), letters come back in any order. So pages grow
with the queue, as far as the size of the letters lets them. What is given back comes before what was never
taken, and behind what was given back before: only who looks through all of the queue leaves its order alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiormq.exceptions import AMQPError

from meter.consumers.kept_letters import read_letter
from meter.consumers.topology import DEAD_QUEUE, queue_depth

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from aiormq.abc import AbstractChannel, AbstractConnection, DeliveredMessage

    from meter.consumers.kept_letters import KeptLetter

#: Letters of the first page; nothing is known of their size yet, and each can be as large as a message.
FIRST_PAGE_LETTERS = 100
#: A page is twice as long as the last at the most, and has about so many bytes.
_GROWTH = 2
_PAGE_BYTES = 32 * 1024 * 1024
#: Then 32 pages hold a hundred thousand letters.
_PAGE_LETTERS_MAX = 4_000
#: A letter that is there comes within milliseconds. After so long others have taken what was there.
_NOTHING_MORE_S = 2.0
_ANSWER_TIMEOUT_S = 30.0
#: Where others take letters meanwhile, what was given back is never seen all at once.
_BACK_AGAIN_S = 10.0
_ASK_AGAIN_S = 0.02


class DeadQueue:
    """What is in ``meter.dead``, seen through one channel."""

    def __init__(self, channel: AbstractChannel) -> None:
        """Use an open channel of its own.

        Args:
            channel: without publisher confirms.
        """
        self._channel = channel
        self._pages = 0
        #: How many letters are taken and not removed.
        self.held = 0

    async def depth(self) -> int:
        """Ask how many letters can be taken now."""
        return await queue_depth(self._channel, DEAD_QUEUE)

    async def pages(self) -> AsyncGenerator[list[KeptLetter], None]:
        """Take as many letters as there are now, in the order of the queue.

        Yields:
            Some letters; they stay taken.

        Raises:
            AMQPError, ChannelInvalidStateError: the broker refused or is gone.
        """
        left, size, largest = await self.depth(), FIRST_PAGE_LETTERS, 1
        while left > 0 and (page := await self._take(min(size, left))):
            left -= len(page)
            yield page
            largest = max(largest, *(len(letter.body) for letter in page))
            size = max(1, min(size * _GROWTH, _PAGE_LETTERS_MAX, _PAGE_BYTES // largest))

    async def remove(self, letters: Sequence[KeptLetter]) -> None:
        """Remove letters from the queue for good.

        Args:
            letters: of the last page.
        """
        for letter in letters:
            await self._channel.basic_ack(letter.tag, wait=False)
        self.held -= len(letters)

    async def _take(self, count: int) -> list[KeptLetter]:
        inbox: asyncio.Queue[DeliveredMessage] = asyncio.Queue()
        name = f"page-{self._pages:06d}"
        self._pages += 1
        await self._channel.basic_qos(prefetch_count=count, timeout=_ANSWER_TIMEOUT_S)
        await self._channel.basic_consume(DEAD_QUEUE, inbox.put, consumer_tag=name, timeout=_ANSWER_TIMEOUT_S)
        letters: list[KeptLetter] = []
        with contextlib.suppress(TimeoutError):
            while len(letters) < count:
                async with asyncio.timeout(_NOTHING_MORE_S):
                    letters.append(read_letter(await inbox.get()))
        await self._channel.basic_cancel(name, timeout=_ANSWER_TIMEOUT_S)
        while not inbox.empty():
            letters.append(read_letter(inbox.get_nowait()))
        self.held += len(letters)
        return letters


@asynccontextmanager
async def open_dead_queue(connection: AbstractConnection) -> AsyncIterator[DeadQueue]:
    """Look through the dead letters; what was not removed is given back at the end.

    Args:
        connection: to the broker, as a user that may read ``meter.dead``.

    Yields:
        The queue.
    """
    channel = await connection.channel(publisher_confirms=False, timeout=_ANSWER_TIMEOUT_S)
    queue = DeadQueue(channel)
    try:
        yield queue
    finally:
        # A connection that is closed already is told apart from other errors by nothing but RuntimeError.
        with contextlib.suppress(AMQPError, RuntimeError, OSError, TimeoutError):
            left = await queue.depth()
            await channel.close()
            await _see_again(connection, left + queue.held)


async def _see_again(connection: AbstractConnection, letters: int) -> None:
    """Wait until the broker has given letters back; who looks sooner finds others in front, or fewer."""
    channel = await connection.channel(publisher_confirms=False, timeout=_ANSWER_TIMEOUT_S)
    async with asyncio.timeout(_BACK_AGAIN_S):
        while await queue_depth(channel, DEAD_QUEUE) < letters:  # noqa: ASYNC110 - the broker does not tell
            await asyncio.sleep(_ASK_AGAIN_S)
    await channel.close()
