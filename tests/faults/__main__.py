"""``python -m tests.faults``: break every part of meter under load, and see that nothing is lost."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from tests.faults.run import SERVICES, Plan, Run
from tests.faults.scene import Stage

if TYPE_CHECKING:
    from tests.faults.report import Report

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
@click.option("--kind", multiple=True, help="Only kinds with this in their names; again for more.")
@click.option("--brief", is_flag=True, help="No fault lasts longer than a few seconds.")
@click.option(
    "--json-file", type=click.Path(dir_okay=False, path_type=Path), default=_RESULTS, show_default=True
)
@click.option("--logs", type=click.Path(file_okay=False, path_type=Path), help="Keeps all logs there.")
@click.option(
    "--stage",
    type=click.Choice(get_args(Stage)),
    default="parts",
    show_default=True,
    help="What breaks: every part; each node of a broker of three; a database that has a standby and fails "
    "over; the disks of a database, which are full.",
)
def main(
    *,
    events: int,
    faults: int,
    seed: int | None,
    rate: float,
    durable: int,
    brief: bool,
    json_file: Path,
    logs: Path | None,
    stage: Stage,
    kind: tuple[str, ...],
) -> None:
    """Break every part of meter under load, and see that nothing is lost and nothing charged twice.

    \b
    For instance, the faults of an earlier run once more:
      python -m tests.faults --events 50000 --faults 20 --seed 7
    """
    chosen = secrets.randbelow(1_000_000) if seed is None else seed
    console = Console()
    console.print(f"seed {chosen}", highlight=False)
    plan = Plan(chosen, events, faults, rate, durable, brief, logs, stage, kind)
    columns = (TextColumn("{task.description:<52}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("starting everything", total=faults)
        said = ""

        def step(what: str, so_far: Report) -> None:
            nonlocal said
            counted = f"{so_far.events:>9,} events, {what}"
            progress.update(task, completed=so_far.faults, description=counted)
            if what == said:
                return
            said = what
            # Whoever ends a long run early keeps what it had seen.
            so_far.write(json_file)
            if not console.is_terminal:
                console.print(
                    f"{datetime.now(UTC):%H:%M:%S} {so_far.faults}/{faults} {counted}", highlight=False
                )

        report = asyncio.run(Run(plan, step).run())
    console.print(report.text(), highlight=False, markup=False)
    report.write(json_file)
    raise SystemExit(0 if report.is_clean else 1)


if __name__ == "__main__":
    main()
