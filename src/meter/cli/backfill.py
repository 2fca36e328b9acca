"""``meter publish``: usage from a file."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from rich.console import Console
from rich.progress import Progress

from meter.cli.addresses import amqp_url
from meter.cli.output import example, json_option, print_json
from meter.errors import MeterError
from meter.publisher import Publisher
from meter.publisher.backfill import publish_rows
from meter.publisher.usage_file import inspect_file, read_rows

if TYPE_CHECKING:
    from meter.publisher.backfill import Backfilled
    from meter.publisher.usage_file import Kind, UsageFile

#: Bad rows named one by one; of the rest only the number is told.
_BAD_ROWS_SHOWN = 20


class NotEverythingPublished(MeterError):
    """Some rows of the file were not published."""


@dataclass(frozen=True, slots=True)
class _Report:
    rows: int
    confirmed: int
    bad: int
    unconfirmed: int


@example("meter publish usage.csv")
@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--format", "kind", type=click.Choice(["csv", "ndjson"]), help="By the file's ending where absent."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    help="Give up when the broker confirms nothing for so many seconds.",
)
@json_option
def publish(file: Path, kind: str | None, timeout: float | None, as_json: bool) -> None:
    """Publish the usage in FILE (NDJSON or CSV). Publishing the same file again charges nothing.

    A row is a contract event, or names org_id, user_id, service_type and whatever else an event can carry;
    in CSV, columns metadata.NAME go to the metadata. A row without a time has that of the file's last change.
    Bad rows are named and left out, and the exit code is 1.
    """
    usage = inspect_file(file, cast("Kind | None", kind))
    done, unconfirmed = asyncio.run(_publish(usage, timeout, quiet=as_json))
    for row in done.bad[:_BAD_ROWS_SHOWN]:
        click.echo(str(row), err=True)
    if len(done.bad) > _BAD_ROWS_SHOWN:
        click.echo(f"… and {len(done.bad) - _BAD_ROWS_SHOWN} more bad rows", err=True)
    report = _Report(done.accepted + len(done.bad), done.accepted - unconfirmed, len(done.bad), unconfirmed)
    if as_json:
        print_json(report)
    else:
        click.echo(f"published {report.confirmed} events as {usage.source}")
    if unconfirmed:
        raise NotEverythingPublished(
            f"the broker did not confirm {unconfirmed} events; publish the same file again: "
            "nothing is charged twice"
        )
    if done.bad:
        # The file's digest is the source of its events, so an edited file would be charged as a new one.
        raise NotEverythingPublished(
            f"{len(done.bad)} rows are bad; publish them, corrected, in a file of their own"
        )


async def _publish(usage: UsageFile, timeout: float | None, *, quiet: bool) -> tuple[Backfilled, int]:  # noqa: ASYNC109 - handed on
    publisher = Publisher(amqp_url(), source=usage.source, name=f"meter publish {usage.path.name}")
    await publisher.open()
    with Progress(console=Console(stderr=True), disable=quiet) as progress:
        bar = progress.add_task(usage.path.name, total=usage.lines)
        done = await publish_rows(
            publisher, read_rows(usage), lambda line: progress.update(bar, completed=line)
        )
        unconfirmed = await publisher.close(timeout)
    return done, unconfirmed
