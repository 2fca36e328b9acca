"""S1 and S2: usage of a large organization added up and paged through over HTTP.

Each with nothing arriving, which is what a page or a summary costs, and while more is settled on the same
cores, which is what it costs there.
"""

from __future__ import annotations

import random
import statistics
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from bench import history, pages, plain_sums, rollup, summaries
from bench.api import running_api
from bench.arrivals import EVENTS_A_SECOND, nothing_arriving, settled_steadily
from bench.figures import Figure, Target
from bench.messages import batch_messages, encoded_events
from bench.one_organization import varied_usages
from bench.rounds import repeated
from bench.workload import SEED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from bench.api import Client
    from bench.measuring import Bench
    from bench.messages import Message

    #: What happens beside, in which database.
    Beside = Callable[[Bench, str], AbstractAsyncContextManager[None]]

_QUIET = "10 million events, HTTP, nothing arriving"
_BUSY = f"10 million events, HTTP, {EVENTS_A_SECOND:,}/s arriving"
_SUMMARY = "usage summary, p99"
_LONG = "usage summary with thousands of points, p99"
_PAGE = "history page at any depth, p99"
_S1 = Target("S1", _SUMMARY, _QUIET, 50, "ms", "most")
_S1_LONG = Target("S1", _LONG, _QUIET, 50, "ms", "most")
_S1_BUSY = Target("S1", _SUMMARY, _BUSY, None, "ms", "most")
_S2 = Target("S2", _PAGE, _QUIET, 10, "ms", "most")
_S2_BUSY = Target("S2", _PAGE, _BUSY, None, "ms", "most")
TARGETS = (_S1, _S1_LONG, _S1_BUSY, _S2, _S2_BUSY)

_DATABASE = "bench_reading"
_LOADING_STEPS = history.STEPS + 2
#: For a request of a round, how many are compared with the ledger, which takes seconds each.
_CHECKED_SUMMARIES = 1 / 50
_CHECKED_PAGES = 1 / 30


def steps(bench: Bench) -> int:
    """How many steps will be reported."""
    return _LOADING_STEPS + (bench.size.rounds + 1) * sum(bench.wants(target) for target in TARGETS)


async def measure(bench: Bench) -> list[Figure]:
    """Load usage, and ask ``meter api`` as a client would while more is settled."""
    reading = _Reading(bench)
    dsn = await reading.load()
    figures: list[Figure] = []
    async with running_api(bench.stack, dsn) as client:
        for target, ask, beside, check in (
            # Before anything arrived, so that it is only once that sums are behind.
            (_S1, reading.summaries, nothing_arriving, reading.check_summaries),
            (_S1_LONG, reading.long_summaries, nothing_arriving, reading.check_long_summaries),
            (_S2, reading.pages, nothing_arriving, reading.check_pages),
            (_S1_BUSY, reading.summaries, settled_steadily, reading.check_summaries),
            (_S2_BUSY, reading.pages, settled_steadily, reading.check_pages),
        ):
            if bench.wants(target):
                asked = partial(ask, client, beside)
                figures += await _checked(bench, target, asked, partial(check, client))
    await bench.stack.databases.drop(_DATABASE)
    return figures


async def _checked(
    bench: Bench,
    target: Target,
    ask: Callable[[], Awaitable[dict[str, float]]],
    check: Callable[[], Awaitable[None]],
) -> list[Figure]:
    """Measure a line whose answers must be right; without that it has no figure."""
    figures = await repeated(bench, (target,), target.title, ask, bench.size.rounds)
    if not all(figure.samples for figure in figures):
        return figures
    bench.step(f"{target.line} compared with the ledger")
    try:
        await check()
    except RuntimeError as error:
        bench.complain(target.title, error)
        return [Figure(target, [], {})]
    return figures


class _Reading:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._chance = random.Random(SEED)  # noqa: S311 - must be repeatable
        self._dsn = ""
        self._loaded_at = datetime.now(UTC)

    async def load(self) -> str:
        """Settle what the past is made of, the past, and its sums; returns the database's address."""
        self._bench.step("rows to repeat")
        self._dsn = await self._bench.stack.databases.add(_DATABASE)
        await self._bench.drained(self._dsn, _messages(self._bench.size.batch_events))
        self._loaded_at = datetime.now(UTC)
        rows = round(self._bench.size.period_rows * summaries.PAST / summaries.PERIOD)
        await history.multiply(self._dsn, rows=rows, past=summaries.PAST, step=self._bench.step)
        await self._bench.stack.databases.checkpoint()
        self._bench.step("sums of the past")
        await rollup.sum_afresh(self._dsn)
        return self._dsn

    async def summaries(self, client: Client, beside: Beside) -> dict[str, float]:
        """Ask for summaries."""
        return await self._summaries(client, beside, summaries.PICTURES)

    async def long_summaries(self, client: Client, beside: Beside) -> dict[str, float]:
        """Ask for summaries with more points than anyone draws."""
        return await self._summaries(client, beside, summaries.LONG_SERIES)

    async def _summaries(
        self, client: Client, beside: Beside, shapes: Sequence[tuple[str, str | None]]
    ) -> dict[str, float]:
        async with beside(self._bench, self._dsn):
            asked = summaries.questions(self._bench.size.requests, shapes, self._loaded_at, self._chance)
            return {"S1": await _p99_ms(client, [question.ask for question in asked])}

    async def pages(self, client: Client, beside: Beside) -> dict[str, float]:
        """Ask for pages."""
        async with beside(self._bench, self._dsn):
            wanted = pages.pages(self._bench.size.requests, self._loaded_at, self._chance)
            return {"S2": await _p99_ms(client, [page.ask for page in wanted])}

    async def check_summaries(self, client: Client) -> None:
        """Compare summaries with the ledger."""
        await self._check_summaries(client, summaries.PICTURES)

    async def check_long_summaries(self, client: Client) -> None:
        """Compare summaries with many points with the ledger."""
        await self._check_summaries(client, summaries.LONG_SERIES)

    async def _check_summaries(self, client: Client, shapes: Sequence[tuple[str, str | None]]) -> None:
        asked = summaries.questions(self._checked(_CHECKED_SUMMARIES), shapes, self._loaded_at, self._chance)
        await plain_sums.check(self._dsn, asked, client)

    async def check_pages(self, client: Client) -> None:
        """Compare pages with the ledger."""
        wanted = pages.pages(self._checked(_CHECKED_PAGES), self._loaded_at, self._chance)
        await pages.check(self._dsn, wanted, client)

    def _checked(self, part: float) -> int:
        return max(1, round(self._bench.size.requests * part))


async def _p99_ms(client: Client, questions: list[Callable[[Client], Awaitable[object]]]) -> float:
    client.seconds.clear()
    for ask in questions:
        await ask(client)
    return 1_000 * statistics.quantiles(client.seconds, n=100)[98]


def _messages(events: int) -> list[Message]:
    drawn = varied_usages(events)
    return batch_messages(drawn, encoded_events(drawn))
