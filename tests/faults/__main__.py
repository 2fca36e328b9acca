"""``python -m tests.faults``: break every part of meter under load, and see that nothing is lost."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from tests.faults.run import SERVICES, Plan, run

_RESULTS = Path(__file__).resolve().parents[2] / "bench" / "faults.json"


@click.command(name="faults")
@click.option(
    "--events", type=click.IntRange(min=1), default=1_000_000, show_default=True, help="At least so many."
)
@click.option("--faults", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--seed", type=int, help="Draws the same faults as before; a new one where it is absent.")
@click.option(
    "--rate",
    type=click.FloatRange(min=1),
    default=1_000.0,
    show_default=True,
    help="Events a second, of all services.",
)
@click.option(
    "--durable",
    type=click.IntRange(0, SERVICES),
    default=SERVICES // 2,
    show_default=True,
    help=f"How many of {SERVICES} services have a spool.",
)
@click.option("--brief", is_flag=True, help="No fault lasts longer than a few seconds.")
@click.option(
    "--json-file", type=click.Path(dir_okay=False, path_type=Path), default=_RESULTS, show_default=True
)
def main(
    events: int, faults: int, seed: int | None, rate: float, durable: int, brief: bool, json_file: Path
) -> None:
    """Break every part of meter under load, and see that nothing is lost and nothing charged twice.

    \b
    For instance, the faults of an earlier run once more:
      python -m tests.faults --events 50000 --faults 20 --seed 7
    """
    chosen = secrets.randbelow(1_000_000) if seed is None else seed
    console = Console()
    console.print(f"seed {chosen}", highlight=False)
    plan = Plan(chosen, events, faults, rate, durable, brief)
    columns = (TextColumn("{task.description:<52}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=faults)
        said = ""

        def step(what: str, over: int, counted: int) -> None:
            nonlocal said
            if not console.is_terminal and what != said:
                said = what
                console.print(f"{over}/{faults} {counted:>9,} events, {what}", highlight=False)
            progress.update(task, completed=over, description=f"{counted:>9,} events, {what}")

        report = asyncio.run(run(plan, step))
    console.print(report.text(), highlight=False, markup=False)
    report.write(json_file)
    raise SystemExit(0 if report.is_clean else 1)


if __name__ == "__main__":
    main()
