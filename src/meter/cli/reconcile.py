"""``meter reconcile``: does every balance equal the sum of its rows?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from meter.cli.acting import acting_login, with_pool
from meter.cli.output import example, json_option, print_json, print_rows
from meter.db.reconciliation import Reconciliation

if TYPE_CHECKING:
    import asyncpg

    from meter.db.reconciliation import Difference


@example("meter reconcile --org acme --json")
@click.command()
@click.option("--org", "org_id", help="Only this organization; all of them by default.")
@click.option("--repair", is_flag=True, help="Set what differs right, and note it in the billing history.")
@json_option
def reconcile(org_id: str | None, repair: bool, as_json: bool) -> None:
    """Add up every balance again from the ledger and the billing history, and print what differs.

    Works in one snapshot and without locks, so that usage settles on meanwhile. Exits with 1 where something
    differs (and was not repaired). A repair adds the organization up once more while nothing of it settles.
    """

    async def look(pool: asyncpg.Pool) -> tuple[list[Difference], list[Difference]]:
        reconciliation = Reconciliation(pool)
        with _progress() as bar:
            task = bar.add_task("adding up the ledger", total=None)
            found = await reconciliation.differences(
                org_id, progress=lambda done, of: bar.update(task, completed=done, total=of)
            )
        repaired: list[Difference] = []
        if repair:
            for wrong in dict.fromkeys(difference.org_id for difference in found):
                repaired += await reconciliation.repair(wrong, actor=acting_login())
        return found, repaired

    found, repaired = with_pool(look)
    if as_json:
        print_json({"differences": found, "repaired": repaired})
    elif not found:
        click.echo("every balance is the sum of its rows")
    else:
        print_rows(found, as_json=False)
        click.echo(f"differences: {len(found)}" + (f"; repaired: {len(repaired)}" if repair else ""))
    if found and not repair:
        sys.exit(1)


def _progress() -> Progress:
    """On the terminal only: standard output is for the result."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
