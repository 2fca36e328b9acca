"""All commands, and how a failure of any of them is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import click

from meter import __version__
from meter.cli.backfill import publish
from meter.cli.corrections import void
from meter.cli.dead_letters import dead_letters
from meter.cli.keys import keys
from meter.cli.members import members
from meter.cli.operators import allocations, credits_, organizations
from meter.cli.processes import admin, api, migrate, token, up, worker
from meter.cli.reconcile import reconcile
from meter.errors import MeterError
from meter.telemetry import first_line

if TYPE_CHECKING:
    from typing import Any


class _OneSentence(click.Group):
    """Tells what went wrong in one sentence, without a traceback, and exits with 1."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except MeterError as error:
            raise click.ClickException(str(error)) from error
        except asyncpg.PostgresError as error:
            raise click.ClickException(f"the database refused it: {first_line(error)}") from error


@click.group(
    cls=_OneSentence, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="meter")
def meter() -> None:
    """Usage metering: every event settled exactly once against prepaid credits.

    Begin with `meter up`: it runs everything on this machine and says what to try first.
    Settings are METER_… environment variables.
    """


for command in (
    *(up, worker, api, admin, migrate, token, publish),
    *(organizations, members, credits_, allocations, keys),
    *(dead_letters, void, reconcile),
):
    meter.add_command(command)
