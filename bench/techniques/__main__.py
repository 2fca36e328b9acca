"""``python -m bench.techniques``: ways to write a batch and to take messages, beside each other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.report import markdown_table
from bench.stack import running_stack
from bench.techniques import receiving, writing

if TYPE_CHECKING:
    from collections.abc import Sequence

_EVENTS, _ROUNDS = 80_000, 5
_QUICK_EVENTS, _QUICK_ROUNDS = 16_000, 1

_Rows = list[tuple[str, ...]]


@click.command(name="bench.techniques")
@click.option("--quick", is_flag=True, help="Less of everything; the figures are coarse.")
@click.option(
    "--markdown-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the tables as Markdown.",
)
def main(quick: bool, markdown_file: Path | None) -> None:
    """Compare ways to write usage into meter's ledger, and to take it from the queue."""
    console = Console()
    events, rounds = (_QUICK_EVENTS, _QUICK_ROUNDS) if quick else (_EVENTS, _ROUNDS)
    written, received = asyncio.run(_measure(events, rounds, console))
    unit = f"Medians of {rounds} rounds of {events:,} events, in µs"
    tables = (
        (f"{unit} an event, written over one connection.", writing.HEAD, written),
        (f"{unit} a message of one event with which nothing is done.", receiving.HEAD, received),
    )
    for title, head, rows in tables:
        console.print(title, highlight=False)
        console.print(_table(head, rows))
    if markdown_file is not None:
        pages = ("\n".join((title, "", *markdown_table(head, rows))) for title, head, rows in tables)
        markdown_file.write_text("\n\n".join(pages) + "\n")


async def _measure(events: int, rounds: int, console: Console) -> tuple[_Rows, _Rows]:
    with Progress(console=console) as progress:
        task = progress.add_task("ways", total=rounds * (writing.RUNS + receiving.RUNS))

        def step() -> None:
            progress.advance(task)

        async with running_stack() as stack:
            written = await writing.measure(await stack.databases.fresh(), events, rounds, step)
            received = await receiving.measure(stack, events, rounds, step)
    return writing.rows(written), receiving.rows(received)


def _table(head: Sequence[str], rows: _Rows) -> Table:
    table = Table(*head)
    for row in rows:
        table.add_row(*row)
    return table


if __name__ == "__main__":
    main()
