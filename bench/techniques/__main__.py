"""``python -m bench.techniques``: ways to write a batch, beside each other in one run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.databases import Databases
from bench.messages import encoded_events
from bench.stack import running_postgres
from bench.techniques.batches import batches
from bench.techniques.measured import cost, median
from bench.techniques.ways import GROUPS
from bench.workload import usages

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.techniques.measured import Cost

_EVENTS, _ROUNDS = 80_000, 5
_QUICK_EVENTS, _QUICK_ROUNDS = 16_000, 1

Costs = dict[tuple[str, str], list["Cost"]]


@click.command(name="bench.techniques")
@click.option("--quick", is_flag=True, help="Less of everything; the figures are coarse.")
def main(quick: bool) -> None:
    """Compare ways to write usage into meter's ledger, on the embedded PostgreSQL, over one connection."""
    console = Console()
    events, rounds = (_QUICK_EVENTS, _QUICK_ROUNDS) if quick else (_EVENTS, _ROUNDS)
    with Progress(console=console) as progress:
        task = progress.add_task("ways", total=rounds * sum(map(len, GROUPS.values())))
        costs = asyncio.run(_measure(events, rounds, lambda: progress.advance(task)))
    console.print(_table(costs))
    console.print(f"µs an event, median of {rounds} rounds of {events:,} events", highlight=False)


async def _measure(events: int, rounds: int, step: Callable[[], None]) -> Costs:
    """Run every way in every round, those of a group one after the other."""
    encoded = encoded_events(usages(events))
    sizes = {way.size for ways in GROUPS.values() for way in ways}
    by_size = {size: batches(encoded, size) for size in sizes}
    costs: Costs = {}
    async with running_postgres() as (_, server):
        connection = await asyncpg.connect(await Databases(server).fresh())
        try:
            for _ in range(rounds):
                for group, ways in GROUPS.items():
                    for way in ways:
                        costs.setdefault((group, way.title), []).append(
                            await cost(connection, way, by_size[way.size])
                        )
                        step()
        finally:
            await connection.close()
    return costs


def _table(costs: Costs) -> Table:
    table = Table("", "way", "backend CPU", "spread", "÷ the first's", "client CPU", "clock")
    for group, ways in GROUPS.items():
        first = median(costs[group, ways[0].title])
        for way in ways:
            measured = costs[group, way.title]
            of = median(measured)
            backends = [one.backend for one in measured]
            table.add_row(
                group if way is ways[0] else "",
                way.title,
                f"{of.backend:.1f}",
                f"{min(backends):.1f}–{max(backends):.1f}",
                f"{of.backend / first.backend:.2f}",
                f"{of.client:.1f}",
                f"{of.clock:.1f}",
            )
        table.add_section()
    return table


if __name__ == "__main__":
    main()
