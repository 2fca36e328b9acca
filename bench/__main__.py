"""``python -m bench``: measure every line, print the table and write ``bench/results.json``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import report
from bench.lines import publishing, settlement
from bench.machine import describe
from bench.size import FULL, QUICK
from bench.stack import running_stack

if TYPE_CHECKING:
    from bench.figures import Figure
    from bench.size import Size

_RESULTS = Path(__file__).with_name("results.json")
_LINES = (settlement, publishing)


@click.command(name="bench")
@click.option("--quick", is_flag=True, help="Less of everything, in under a minute; the figures are coarse.")
@click.option(
    "--json-file", type=click.Path(dir_okay=False, path_type=Path), default=_RESULTS, show_default=True
)
@click.option(
    "--markdown-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the tables as Markdown.",
)
def main(quick: bool, json_file: Path, markdown_file: Path | None) -> None:
    """Measure meter on its embedded stack, each line beside what it is compared with."""
    console = Console()
    figures, machine = asyncio.run(_measure(QUICK if quick else FULL, console))
    console.print(report.table(figures))
    for name, text in machine.items():
        console.print(f"{name}: {text}", highlight=False)
    report.write_json(figures, json_file)
    if markdown_file is not None:
        markdown_file.write_text(report.markdown(figures, machine))


async def _measure(size: Size, console: Console) -> tuple[list[Figure], dict[str, str]]:
    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        steps = 1 + size.rounds * sum(line.STEPS_A_ROUND for line in _LINES)
        task = progress.add_task("servers", total=steps)

        def step(what: str) -> None:
            progress.update(task, advance=1, description=what)

        async with running_stack() as stack:
            machine = await describe(stack)
            figures = [figure for line in _LINES for figure in await line.measure(stack, size, step)]
        progress.update(task, completed=steps, description="done")
        return figures, machine


if __name__ == "__main__":
    main()
