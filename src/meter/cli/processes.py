"""The processes of meter: everything at once, or one by one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click
from rich.console import Console

from meter.cli.output import example, json_option, print_json
from meter.db.no_answer import NO_ANSWER
from meter.db.refusals import DatabaseNotReachable
from meter.errors import ConfigurationError
from meter.settings import load_settings
from meter.telemetry import configure_logging

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from meter.settings import Settings


@example("meter up --demo")
@click.command()
@click.option("--fresh", is_flag=True, help="Begin with an empty state folder.")
@click.option("--demo", is_flag=True, help="Replay real LLM usage of 40 organizations, then go on running.")
def up(fresh: bool, demo: bool) -> None:
    """Run everything on this machine: PostgreSQL, RabbitMQ, worker and both APIs.

    METER_DATABASE_URL and METER_AMQP_URL replace the embedded servers.
    """
    from meter.local.demo import replay  # noqa: PLC0415 - only this command needs the embedded servers
    from meter.local.stack import up as run_stack  # noqa: PLC0415 - as above

    settings = load_settings()
    console = Console()
    asyncio.run(run_stack(settings, console, fresh=fresh, demo=replay(console) if demo else None))


@example("METER_DATABASE_URL=postgresql://… METER_AMQP_URL=amqp://… meter worker")
@click.command()
def worker() -> None:
    """Consume usage events and settle them, until SIGTERM."""
    from meter.consumers.worker import run_worker  # noqa: PLC0415 - imported by the process that needs it

    _run(run_worker)


@example("METER_DATABASE_URL=postgresql://… METER_TOKEN_ISSUER=… METER_TOKEN_JWKS_FILE=… meter api")
@click.command()
def api() -> None:
    """Serve balances and usage history, read only, until SIGTERM."""
    from meter.api.server import run_api  # noqa: PLC0415 - imported by the process that needs it

    _run(run_api)


@example("METER_DATABASE_URL=postgresql://… METER_TOKEN_ISSUER=… METER_TOKEN_JWKS_FILE=… meter admin")
@click.command()
def admin() -> None:
    """Serve the writes, and the reads beside them, until SIGTERM."""
    from meter.admin.server import run_admin  # noqa: PLC0415 - imported by the process that needs it

    _run(run_admin)


@example("METER_DATABASE_URL=postgresql://owner@host/meter meter migrate --dry-run")
@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be applied.")
@json_option
def migrate(dry_run: bool, as_json: bool) -> None:
    """Bring the database to the schema of this version; safe to repeat and to run twice at once."""
    from meter.db.migrate import migrate as apply  # noqa: PLC0415 - its name is the command's

    settings = load_settings()
    if settings.database_url is None:
        raise ConfigurationError("METER_DATABASE_URL is not set; give it the database's owner or a superuser")
    try:
        applied = asyncio.run(apply(settings.database_url.get_secret_value(), dry_run=dry_run))
    except NO_ANSWER as error:
        raise DatabaseNotReachable(f"the database does not answer ({type(error).__name__})") from error
    if as_json:
        print_json({"applied": [] if dry_run else applied, "pending": applied if dry_run else []})
    elif not applied:
        click.echo("the schema is current")
    else:
        click.echo("\n".join(f"{'would apply' if dry_run else 'applied'} {name}" for name in applied))


@example(
    'curl -H "Authorization: Bearer $(meter token alice)" http://127.0.0.1:8080/api/v1/org-billing/credits/acme'
)
@click.command()
@click.argument("user_id", default="alice")
@click.option("--role", "roles", multiple=True, help="For instance system_admin; may be repeated.")
@click.option(
    "--hours", type=click.IntRange(1, 720), default=24, show_default=True, help="How long it is good."
)
def token(user_id: str, roles: tuple[str, ...], hours: int) -> None:
    """Print a development token for USER_ID, which only the stack of `meter up` accepts."""
    from meter.local.stack import development_issuer  # noqa: PLC0415 - only this command needs it

    settings = load_settings()
    if settings.database_url is not None:
        raise ConfigurationError("development tokens exist only with the embedded database of `meter up`")
    click.echo(development_issuer(settings).issue(user_id, roles=roles, ttl_seconds=hours * 3600))


def _run(process: Callable[[Settings], Coroutine[None, None, None]]) -> None:
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        asyncio.run(process(settings))
    else:
        uvloop.run(process(settings))
