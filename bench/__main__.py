"""``python -m bench``: measure every line, print the table and write ``bench/results.json``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import report
from bench.backlog import broker_channel
from bench.figures import Figure
from bench.lines import (
    balances,
    breadth,
    draining,
    latency,
    long_ledger,
    memory,
    publishing,
    reading,
    reconciling,
    summing,
    workers,
)
from bench.machine import describe
from bench.measuring import Bench
from bench.size import FULL, QUICK
from bench.stack import running_stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures import Target
    from bench.size import Size

_RESULTS = Path(__file__).with_name("results.json")


class _Lines(Protocol):
    """Lines that are measured together: a module of ``bench/lines``."""

    @property
    def TARGETS(self) -> Sequence[Target]:  # noqa: N802 - a constant of the module
        """The lines."""

    def steps(self, bench: Bench) -> int:
        """How many steps will be reported."""

    async def measure(self, bench: Bench) -> list[Figure]:
        """Measure those that are wanted."""


#: Latency first: what went through the queue and the disk before is felt in its slowest events.
_LINES: tuple[_Lines, ...] = (
    latency,
    draining,
    summing,
    memory,
    long_ledger,
    breadth,
    workers,
    publishing,
    reading,
    balances,
    reconciling,
)


@click.command(name="bench")
@click.option("--quick", is_flag=True, help="Less of everything, in under a minute; the figures are coarse.")
@click.option("--only", default="", metavar="B1,B2,…", help="Only these lines; B3 stands for B3a and B3b.")
@click.option(
    "--json-file", type=click.Path(dir_okay=False, path_type=Path), default=_RESULTS, show_default=True
)
@click.option(
    "--markdown-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the tables as Markdown.",
)
def main(quick: bool, only: str, json_file: Path, markdown_file: Path | None) -> None:
    """Measure meter on its embedded stack, each line beside what it is compared with."""
    console = Console()
    figures, machine = asyncio.run(_measure(QUICK if quick else FULL, _chosen(only), console))
    console.print(report.table(figures))
    for name, text in machine.items():
        console.print(f"{name}: {text}", highlight=False)
    report.write_json(figures, json_file)
    if markdown_file is not None:
        markdown_file.write_text(report.markdown(figures, machine))
    if quick:
        console.print("with --quick everything is smaller than the table says, and measured once")
    if not all(figure.samples for figure in figures):
        raise click.ClickException("some lines could not be measured; why is said above")


def _chosen(only: str) -> frozenset[str]:
    chosen = frozenset(name.strip() for name in only.split(",") if name.strip())
    lines = {target.line for line in _LINES for target in line.TARGETS}
    unknown = chosen - lines - {line.rstrip("ab") for line in lines}
    if unknown:
        raise click.UsageError(
            f"there is no line {', '.join(sorted(unknown))}; there are {', '.join(sorted(lines))}"
        )
    return chosen


async def _measure(size: Size, only: frozenset[str], console: Console) -> tuple[list[Figure], dict[str, str]]:
    columns = (TextColumn("{task.description:<30}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("servers", total=None)

        def step(what: str) -> None:
            progress.update(task, advance=1, description=what)

        def complain(what: str, error: Exception) -> None:
            console.print(f"{what}: {type(error).__name__}: {error}", style="red", highlight=False)

        async with running_stack(in_haste=size.in_haste) as stack, broker_channel(stack.amqp_url) as channel:
            machine = await describe(stack)
            bench = Bench(stack, channel, size, only, step, complain)
            wanted = [line for line in _LINES if bench.wants(*line.TARGETS)]
            progress.update(task, total=sum(line.steps(bench) for line in wanted) + 1)
            figures = [figure for line in wanted for figure in await _figures(line, bench)]
        step("done")
    return sorted(figures, key=_place), machine


def _place(figure: Figure) -> tuple[str, int, str]:
    """Where a line stands in the table: B2 before B10."""
    line = figure.target.line
    return line[0], int(line[1:].rstrip("ab")), line


async def _figures(line: _Lines, bench: Bench) -> list[Figure]:
    """Measure; what goes wrong before or after the runs of some lines does not lose the hours of others."""
    try:
        return await line.measure(bench)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        unmeasured = [target for target in line.TARGETS if bench.wants(target)]
        bench.complain(", ".join(sorted({target.line for target in unmeasured})), error)
        return [Figure(target, [], {}) for target in unmeasured]


if __name__ == "__main__":
    main()
