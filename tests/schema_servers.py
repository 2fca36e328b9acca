"""Both APIs as servers over one database in which there is some of everything, and who calls them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
from prometheus_client import CollectorRegistry
from tests.read_api import AUDIENCE, UNLIMITED

from meter.admin.app import build_admin_app
from meter.admin.gateways import Writes
from meter.api.access import Gateways
from meter.api.app import build_app
from meter.api.authentication import Identity
from meter.api.caller_limits import CallerLimits
from meter.api.databases import ReadDatabases
from meter.api.health import checks_of
from meter.api.http_metrics import HttpMetrics
from meter.api.key_file import KeyFile
from meter.api.rate_counters import own_counters
from meter.api.rate_limits import RateLimits
from meter.api.service_keys import ServiceKeys
from meter.api.tokens import Tokens
from meter.db.api_keys import ApiKeys, NewApiKey, PresentedKeys
from meter.db.key_secrets import make_key
from meter.db.reader import ReaderConnections
from meter.db.reading import open_reader
from meter.db.writing import open_writer
from meter.local.issuer import ISSUER, DevelopmentIssuer
from meter.local.machine import LOOPBACK
from meter.operations import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from starlette.types import ASGIApp

#: An organization with members, credits, limits, a subscription and usage, and one of other people.
_SEED = """
select create_organization('acme', p_owner => 'olga');
select add_organization_member('acme', 'adam', 'admin');
select add_organization_member('acme', 'mia');
select add_organization_member('acme', 'ann@example.com');
select add_organization_member('acme', 'a/b@c');
select create_organization('other', p_owner => 'eve');
select set_pool_terms('acme', p_allocation_required => false);
select add_credits_to_pool('acme', 100000);
select allocate_credits_to_user('acme', 'mia', 500);
select start_subscription('acme', 'platform');
select start_subscription('other', 'byok');
select deduct_credits('acme', 'mia', 1.5, 'llm', 'gpt', 'req-' || n, '{"a": [1]}', 'e-' || n, 's',
    now() - n * interval '5 hours')
from generate_series(1, 150) n;
select settle_usage(json_build_array(json_build_object(
    'org_id', 'other', 'event_key', usage_event_key('s', 'late'), 'event_id', 'late', 'source', 's',
    'user_id', 'eve', 'service_type', 'llm', 'quantity', 1, 'credits', 5, 'credits_given', true,
    'key_source', 'platform', 'key_source_given', false, 'metadata', '{}'::json, 'occurred_at', now())));
"""


@dataclass(frozen=True, slots=True)
class SchemaServers:
    """Where the APIs are, as what each caller shows itself, and a subscription that is there."""

    #: By the name of the OpenAPI document: api, admin.
    urls: Mapping[str, str]
    credentials: Mapping[str, str]
    subscription_id: str
    #: Where both count their requests.
    registry: CollectorRegistry

    def succeeded(self) -> set[tuple[str, str]]:
        """What answered with success at least once: method and route as the OpenAPI document names them."""
        return {
            (sample.labels["method"].lower(), sample.labels["route"].replace(":path}", "}"))
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name == "meter_http_requests_total" and sample.labels["status"].startswith("2")
        }


@asynccontextmanager
async def schema_servers(dsn: str, folder: Path) -> AsyncIterator[SchemaServers]:
    """Serve both on loopback.

    Args:
        dsn: a fresh migrated database, as its owner.
        folder: where the development issuer keeps its key.
    """
    issuer = DevelopmentIssuer(folder / "issuer", AUDIENCE)
    issuer.prepare()
    registry = CollectorRegistry()
    metrics = HttpMetrics(registry)
    async with (
        await open_writer(dsn) as writer,
        await open_reader(dsn) as reader,
        serving(_read_app(reader, issuer, metrics), LOOPBACK, 0) as api_port,
        serving(_admin_app(writer, reader, issuer, metrics), LOOPBACK, 0) as admin_port,
    ):
        owner = await asyncpg.connect(dsn)
        await owner.execute(_SEED)
        made = make_key()
        key = NewApiKey(None, "a service", ("deduct", "check", "read"))
        await ApiKeys(owner).add(key, made.prefix, made.sha256, actor="test")
        subscription_id = await owner.fetchval(
            "select id::text from organization_subscriptions where org_id = 'acme'"
        )
        await owner.close()
        yield SchemaServers(
            {"api": f"http://{LOOPBACK}:{api_port}", "admin": f"http://{LOOPBACK}:{admin_port}"},
            {
                "system-admin": issuer.issue("sam", roles=("system_admin",)),
                "org-admin": issuer.issue("adam"),
                "service": made.key,
            },
            subscription_id,
            registry,
        )


def _read_app(reader: ReaderConnections, issuer: DevelopmentIssuer, metrics: HttpMetrics) -> ASGIApp:
    return build_app(
        Gateways.of(ReadDatabases(reader, reader)),
        _identity(issuer, reader),
        metrics,
        checks_of(reader),
    )


def _admin_app(
    writer: asyncpg.Pool, reader: ReaderConnections, issuer: DevelopmentIssuer, metrics: HttpMetrics
) -> ASGIApp:
    primary = ReaderConnections(writer)
    return build_admin_app(
        Gateways.of(ReadDatabases(primary, reader)),
        Writes.through(writer, admins_may_purchase=True, anyone_creates_organizations=True),
        _identity(issuer, primary),
        metrics,
        checks_of(writer),
    )


def _identity(issuer: DevelopmentIssuer, primary: ReaderConnections) -> Identity:
    """The limits are so high that nobody meets them: a 429 would hide what is behind it."""
    return Identity(
        Tokens(ISSUER, AUDIENCE, KeyFile(issuer.key_set)),
        ServiceKeys(PresentedKeys(primary)),
        CallerLimits(RateLimits(own_counters(), CollectorRegistry()), UNLIMITED),
    )
