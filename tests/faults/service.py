"""``python -m tests.faults.service``: a service that publishes until it is told to stop, or killed."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.accepted import AcceptedFile
from tests.faults.usage import new_key, usage_of

from meter.publisher import Publisher

if TYPE_CHECKING:
    from uuid import UUID

#: Usage is recorded in bursts so far apart, in seconds.
_TICK_S = 0.05
#: How long everything flushed so far is waited for before more is recorded.
_FLUSH_S = 0.25
#: Of a hundred events so many are recorded once more, at once or a little later.
_AGAIN_PERCENT = 2
#: A service that starts repeats some events of the one before it. Not its last ones: were those lost, nobody
#: would know.
_REPEATED_AT_START = 50
_LAST_LEFT_ALONE = 5_000
#: Before it ends a service waits so long; what is left then is lost where there is no spool, and not counted.
_CLOSE_S = 8.0


class Service:
    """Records usage at a steady rate, and notes what it may count on."""

    def __init__(
        self, publisher: Publisher, number: int, accepted: AcceptedFile, again: AcceptedFile
    ) -> None:
        self._publisher = publisher
        self._number = number
        self._accepted = accepted
        self._again = again
        #: Recorded, but only in memory.
        self._uncertain: list[UUID] = []

    async def run(self, rate: float, stop: asyncio.Event, *, durable: bool) -> None:
        """Record until told to stop.

        Args:
            rate: events a second.
            stop: set when it is time to end.
            durable: whether what ``record`` accepted is on disk.
        """
        for key in self._accepted.some_before_last(_REPEATED_AT_START, _LAST_LEFT_ALONE):
            self._repeat(key)
        loop = asyncio.get_running_loop()
        due, owed = loop.time(), 0.0
        while not stop.is_set():
            owed += rate * _TICK_S
            while owed >= 1:
                owed -= 1
                self._record(durable=durable)
            if not durable:
                await self._flush(_FLUSH_S)
            due = max(due + _TICK_S, loop.time() - 1)
            if (left := due - loop.time()) > 0:
                await _set_within(stop, left)
        await self._flush(_CLOSE_S)

    def _record(self, *, durable: bool) -> None:
        key = new_key(self._number)
        if not self._send(key):
            return
        if durable:
            self._accepted.add([key])
        else:
            self._uncertain.append(key)
        if random.randrange(100) < _AGAIN_PERCENT:
            self._repeat(key)

    def _repeat(self, key: UUID) -> None:
        if self._send(key):
            self._again.add([key])

    def _send(self, key: UUID) -> bool:
        usage = usage_of(key)
        recorded = self._publisher.record(
            usage.org_id, usage.user_id, "llm", credits=usage.credits, id=usage.id, time=usage.time
        )
        return recorded is not None

    async def _flush(self, seconds: float) -> None:
        """Wait until all is confirmed; only then count on it."""
        if await self._publisher.flush(seconds) == 0:
            self._accepted.add(self._uncertain)
            self._uncertain.clear()


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


async def _run(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    options = {"spool": arguments.spool} if arguments.spool else {}
    publisher = Publisher(arguments.url, source=f"service-{arguments.number}", **options)
    with AcceptedFile(arguments.accepted) as accepted, AcceptedFile(arguments.again) as again:
        service = Service(publisher, arguments.number, accepted, again)
        async with publisher:
            await service.run(arguments.rate, stop, durable=bool(arguments.spool))
            await publisher.close(1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.service", description=__doc__)
    parser.add_argument("--url", required=True, help="of the broker")
    parser.add_argument("--number", type=int, required=True, help="0 to 15, a part of its ids")
    parser.add_argument("--rate", type=float, required=True, help="events a second")
    parser.add_argument("--accepted", type=Path, required=True, help="where it notes what it counts on")
    parser.add_argument("--again", type=Path, required=True, help="where it notes what it sent twice")
    parser.add_argument("--spool", type=Path, help="the publisher's spool; in memory only without it")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
