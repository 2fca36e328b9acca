"""``meter admin``: the control plane as a process."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from meter.admin.app import build_admin_app
from meter.admin.gateways import Writes
from meter.api.access import Gateways
from meter.api.databases import ReadDatabases
from meter.api.health import checks_of
from meter.api.http_metrics import HttpMetrics
from meter.api.identity import identity, issuer_of
from meter.api.server import serve_until, stop_signal
from meter.db.reader import ReaderConnections
from meter.db.reading import open_reader
from meter.db.writing import open_writer
from meter.errors import ConfigurationError
from meter.operations import operations_app
from meter.telemetry import process_registry

if TYPE_CHECKING:
    import asyncpg

    from meter.settings import Settings


async def run_admin(settings: Settings) -> None:
    """Serve the control plane until SIGTERM or SIGINT; requests under way are finished, within seconds.

    The database may be away, at the start too: ``/readyz`` says so, and requests are answered 503 meanwhile.

    Args:
        settings: which database, whose tokens, which ports.

    Raises:
        ConfigurationError: the database or the issuer is not set or cannot be used, or a port is taken.
    """
    issuer = issuer_of(settings)
    writer, reader = await _pools(settings)
    registry = process_registry("admin")
    stop = stop_signal()
    # Who belongs where is asked of the primary: who was removed is out at once.
    primary = ReaderConnections(writer)
    async with writer, reader, identity(settings, issuer, writer, registry) as known:
        checks = {**checks_of(writer), "reads": checks_of(reader)["database"]}
        gateways = Gateways.of(ReadDatabases(primary, reader))
        writes = Writes.through(
            writer,
            admins_may_purchase=settings.admin_purchases,
            anyone_creates_organizations=settings.anyone_creates_organizations,
        )
        await serve_until(
            stop,
            build_admin_app(gateways, writes, known, HttpMetrics(registry), checks),
            operations_app(checks, registry),
            host=settings.admin_host,
            port=settings.admin_port,
            metrics_port=settings.admin_metrics_port,
        )


async def _pools(settings: Settings) -> tuple[asyncpg.Pool, ReaderConnections]:
    if settings.database_url is None:
        raise ConfigurationError(
            "METER_DATABASE_URL is not set; set it to the database, with a login that may act as meter_admin"
        )
    reads: Literal["read_database_url", "database_url"] = (
        "read_database_url" if settings.read_database_url else "database_url"
    )
    try:
        return (
            await open_writer(partial(settings.current, "database_url")),
            await open_reader(partial(settings.current, reads)),
        )
    except ValueError:
        raise ConfigurationError("the database URL cannot be understood") from None
