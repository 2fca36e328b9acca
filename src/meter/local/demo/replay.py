"""Publishes the trace, waits until it is settled, and says what became of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from meter.local.demo.customers import seed_customers
from meter.local.demo.settled import Ledger, UsageBacklog, ledger_of
from meter.local.demo.trace import requests, trace_source
from meter.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rich.console import Console

    from meter.local.addresses import Addresses

_POLL_SECONDS = 0.2
_MODEL = "code-completion"


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of the published events: every one is in the ledger, a duplicate, or a dead letter.

    Attributes:
        published: events that the broker confirmed.
        before: the ledger's rows of the trace when the replay began.
        after: the same at its end.
        dead_letters: dead letters that came in meanwhile.
        seconds: from the first event published to the last one settled.
    """

    published: int
    before: Ledger
    after: Ledger
    dead_letters: int
    seconds: float

    @property
    def recorded(self) -> int:
        """Events that were new to the ledger."""
        return self.after.events - self.before.events

    @property
    def duplicates(self) -> int:
        """Events that had been settled before and changed nothing."""
        return self.published - self.recorded - self.dead_letters


def replay(console: Console) -> Callable[[Addresses], Awaitable[None]]:
    """Make the demo of a running stack.

    Args:
        console: where to show progress and the summary.

    Returns:
        What to call once the stack runs.
    """

    async def run(addresses: Addresses) -> None:
        console.print("demo: seeding 40 organizations with 10 users each", highlight=False)
        await seed_customers(addresses.database.admin)
        console.print(summary(await _replayed(addresses, console)), highlight=False)

    return run


async def _replayed(addresses: Addresses, console: Console) -> Replayed:
    trace, source = list(requests()), trace_source()
    async with UsageBacklog.of(addresses) as backlog:
        before, dead_before = await ledger_of(addresses.database.admin, source), await backlog.dead_letters()
        began = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            publishing = progress.add_task("demo: published", total=len(trace))
            async with Publisher(addresses.broker.publisher, source=source, name="meter demo") as publisher:
                for request in trace:
                    if not publisher.has_room:
                        await publisher.room()
                    publisher.record(
                        request.org_id,
                        request.user_id,
                        "llm",
                        service_name=_MODEL,
                        metadata=request.tokens,
                        id=str(request.row),
                        time=request.time,
                    )
                    progress.update(publishing, completed=publisher.counters.confirmed)
                await publisher.flush()
                progress.update(publishing, completed=publisher.counters.confirmed)
            await _settled(backlog, progress)
        return Replayed(
            published=publisher.counters.confirmed,
            before=before,
            after=await ledger_of(addresses.database.admin, source),
            dead_letters=await backlog.dead_letters() - dead_before,
            seconds=time.monotonic() - began,
        )


async def _settled(backlog: UsageBacklog, progress: Progress) -> None:
    """Wait until queue and worker hold nothing; twice, since a message may be on its way between the two."""
    waiting = progress.add_task("demo: messages left to settle", total=None)
    empty = 0
    while empty < 2:
        left = await backlog.messages()
        empty = empty + 1 if left == 0 else 0
        progress.update(waiting, completed=left or 0)
        await asyncio.sleep(_POLL_SECONDS)
    progress.update(waiting, visible=False)


def summary(replayed: Replayed) -> str:
    """Write what a replay did.

    Args:
        replayed: the facts.

    Returns:
        Lines for a terminal; the figures add up to the events published.
    """
    new = replayed.after.minus(replayed.before)
    rate = replayed.published / replayed.seconds
    rows = [
        ("events published", f"{replayed.published:,}"),
        ("charged", f"{new.charged_events:,} events, {new.charged_credits:,.6f} credits"),
        ("unfunded", f"{new.unfunded_events:,} events, {new.unfunded_credits:,.6f} credits"),
        ("other outcomes", f"{new.events - new.charged_events - new.unfunded_events:,} events"),
        ("duplicates", f"{replayed.duplicates:,} events, which changed nothing"),
        ("dead letters", f"{replayed.dead_letters:,} events"),
        ("events per second", f"{rate:,.0f}, from published to settled in {replayed.seconds:.1f} s"),
    ]
    lines = ["", "demo: a real trace of LLM requests, settled", ""]
    lines += [f"  {name:<18} {text}" for name, text in rows]
    return "\n".join([*lines, ""])
