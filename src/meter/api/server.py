"""``meter api``: the read API as a process."""

from __future__ import annotations

import asyncio
import signal
from functools import partial
from typing import TYPE_CHECKING, Literal

from meter.api.access import Gateways
from meter.api.app import build_app
from meter.api.health import checks_of
from meter.api.http_metrics import HttpMetrics
from meter.api.key_file import KeyFile
from meter.api.tokens import Tokens
from meter.db.balances import Balances
from meter.db.membership import Membership
from meter.db.reading import open_reader
from meter.db.usage_history import UsageHistory
from meter.db.usage_summary import UsageSummaries
from meter.errors import ConfigurationError
from meter.operations import operations_app, serving
from meter.telemetry import get_logger, process_registry

if TYPE_CHECKING:
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
    tokens = _tokens(settings)
    name: Literal["read_database_url", "database_url"] = (
        "read_database_url" if settings.read_database_url else "database_url"
    )
    if getattr(settings, name) is None:
        raise ConfigurationError(
            "METER_DATABASE_URL is not set; set it, or METER_READ_DATABASE_URL, to the database to read from"
        )
    try:
        pool = await open_reader(partial(settings.current, name))
    except ValueError:
        raise ConfigurationError("the database URL cannot be understood") from None
    registry = process_registry("api")
    checks = checks_of(pool)
    gateways = Gateways(Balances(pool), Membership(pool), UsageHistory(pool), UsageSummaries(pool))
    app = build_app(gateways, tokens, HttpMetrics(registry), checks)
    stop = _stop_signal()
    async with (
        pool,
        serving(app, settings.api_host, settings.api_port) as port,
        serving(
            operations_app(checks, registry), settings.api_host, settings.api_metrics_port
        ) as metrics_port,
    ):
        log.info("serving", host=settings.api_host, port=port, metrics_port=metrics_port)
        await stop.wait()
        log.info("stopping")


def _tokens(settings: Settings) -> Tokens:
    if settings.token_issuer is None or settings.token_jwks_file is None:
        raise ConfigurationError(
            "nobody could sign in: set METER_TOKEN_ISSUER to the issuer of your bearer tokens and "
            "METER_TOKEN_JWKS_FILE to the file with its public keys (a JWK set)"
        )
    return Tokens(settings.token_issuer, settings.token_audience, KeyFile(settings.token_jwks_file))


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
