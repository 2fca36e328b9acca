"""``meter api``: the read API as a process."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from meter.api.access import Gateways
from meter.api.app import build_app
from meter.api.health import checks_of
from meter.api.http_metrics import HttpMetrics
from meter.api.identity import identity, issuer_of
from meter.db.balances import Balances
from meter.db.membership import Membership
from meter.db.reading import open_reader
from meter.db.usage_history import UsageHistory
from meter.db.usage_summary import UsageSummaries
from meter.errors import ConfigurationError
from meter.operations import operations_app, serving
from meter.telemetry import get_logger, process_registry

if TYPE_CHECKING:
    import asyncpg

    from meter.settings import Settings

log = get_logger(__name__)


async def run_api(settings: Settings) -> None:
    """Serve the read API until SIGTERM or SIGINT; requests under way are finished, within seconds.

    The database may be away, at the start too: ``/readyz`` says so, and requests are answered 503 meanwhile.

    Args:
        settings: which database, whose tokens, which ports.

    Raises:
        ConfigurationError: the database or the issuer is not set or cannot be used, or a port is taken.
    """
    issuer = issuer_of(settings)
    pool, primary = await _pools(settings)
    registry = process_registry("api")
    checks = checks_of(pool)
    if primary is not pool:
        checks = {"database": checks["database"], "primary": checks_of(primary)["database"]}
    gateways = Gateways(
        Balances(pool),
        Membership(primary),
        UsageHistory(pool),
        UsageSummaries(pool),
        of_primary=primary is pool,
    )
    stop = stop_signal()
    async with (
        pool,
        primary,
        identity(settings, issuer, primary, registry) as known,
        serving(
            build_app(gateways, known, HttpMetrics(registry), checks), settings.api_host, settings.api_port
        ) as port,
        serving(
            operations_app(checks, registry), settings.api_host, settings.api_metrics_port
        ) as metrics_port,
    ):
        log.info("serving", host=settings.api_host, port=port, metrics_port=metrics_port)
        await stop.wait()
        log.info("stopping")


async def _pools(settings: Settings) -> tuple[asyncpg.Pool, asyncpg.Pool]:
    """Connect to where reads go, and to the primary, which is the same where there is no replica."""
    urls = (settings.read_database_url, settings.database_url)
    given = list(dict.fromkeys(url.get_secret_value() for url in urls if url is not None))
    if not given:
        raise ConfigurationError(
            "METER_DATABASE_URL is not set; set it; METER_READ_DATABASE_URL may name a replica"
        )
    try:
        pools = [await open_reader(dsn) for dsn in given]
    except ValueError:
        raise ConfigurationError("the database URL cannot be understood") from None
    return pools[0], pools[-1]


def stop_signal() -> asyncio.Event:
    """Make an event that SIGTERM and SIGINT set; call it within the loop that waits for it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
