"""Whether ``/readyz`` tells the truth: no worker says that it is ready while a part it needs is away."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from meter.local.machine import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A part that is away is noticed within this, in seconds: its connections end when it goes.
NOTICED_WITHIN_S = 1.5
#: One that only gives no answer any more is waited for at first, and noticed within this.
SILENCE_NOTICED_WITHIN_S = 8.0
_ASK_EVERY_S = 0.2


class Readiness:
    """Asks workers all the time, and compares what they say with what is away.

    Attributes:
        lies: in sentences.
        denials: how often a worker said, rightly, that it is not ready while something was away.
    """

    def __init__(self, ports: dict[str, int]) -> None:
        self._ports = ports
        #: What is away, and when a worker has to have noticed at the latest; the same part may be away for
        #: two reasons at once.
        self._away: dict[object, tuple[str, float]] = {}
        self.lies: list[str] = []
        self.denials = 0

    @contextmanager
    def away(self, part: str, noticed_within: float = NOTICED_WITHIN_S) -> Iterator[None]:
        """No worker can use a part for as long as the context lasts.

        Args:
            part: which, for people.
            noticed_within: seconds in which a worker may not know it yet.
        """
        reason = object()
        self._away[reason] = (part, time.monotonic() + noticed_within)
        try:
            yield
        finally:
            del self._away[reason]

    async def keep(self) -> None:
        """Ask again and again, until cancelled."""
        async with httpx.AsyncClient(timeout=3) as client:
            while True:
                await asyncio.gather(*(self._ask(client, worker) for worker in self._ports))
                await asyncio.sleep(_ASK_EVERY_S)

    async def _ask(self, client: httpx.AsyncClient, worker: str) -> None:
        asked_at = time.monotonic()
        away = dict(self._away)
        try:
            answer = await client.get(f"http://{LOOPBACK}:{self._ports[worker]}/readyz")
        except httpx.HTTPError:
            return
        for reason, (part, known_by) in away.items():
            # What came back meanwhile may have been there for the answer.
            if reason in self._away:
                self.judge(worker, part, asked_at - known_by, is_ready=answer.status_code == 200)

    def judge(self, worker: str, part: str, late: float, *, is_ready: bool) -> None:
        """Compare what a worker said with what is away.

        Args:
            worker: who said it.
            part: what is away.
            late: for how many seconds it should have known when it was asked; less than 0 where it need not.
            is_ready: what it said.
        """
        if not is_ready:
            self.denials += 1
        elif late > 0:
            self.lies.append(f"{worker} said that it is ready, {late:.1f} s late, while {part} was away")
