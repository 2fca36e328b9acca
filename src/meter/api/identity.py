"""Who may sign in, as the settings say: the issuer, the keys of services, the limits."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meter.api.authentication import Identity
from meter.api.caller_limits import Allowances, CallerLimits
from meter.api.issuer_keys import IssuerKeys
from meter.api.key_fetch import KeyFetch
from meter.api.key_file import KeyFile
from meter.api.rate_limits import rate_limits
from meter.api.role_claims import RoleClaims
from meter.api.service_keys import ServiceKeys
from meter.api.tokens import Tokens
from meter.db.api_keys import PresentedKeys
from meter.errors import ConfigurationError
from meter.settings import is_web_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from prometheus_client import CollectorRegistry

    from meter.db.reader import ReaderConnections
    from meter.settings import Settings

_NO_ISSUER = (
    "nobody could sign in: set METER_TOKEN_ISSUER to the address of the issuer of your bearer tokens, which "
    "is asked for its public keys, or to its name, and METER_TOKEN_JWKS_URL or METER_TOKEN_JWKS_FILE to "
    "where its keys are (a JWK set)"
)


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens are believed, and where its keys come from."""

    name: str
    keys: KeyFile | IssuerKeys
    #: Of keys that come over HTTP.
    fetch: KeyFetch | None = None


def issuer_of(settings: Settings) -> Issuer:
    """Find the issuer that the settings name; nothing is fetched yet.

    Raises:
        ConfigurationError: there is none, or its keys cannot be used.
    """
    name = settings.token_issuer
    if name is None:
        raise ConfigurationError(_NO_ISSUER)
    if settings.token_jwks_file is not None:
        if settings.token_jwks_url is not None:
            raise ConfigurationError("set METER_TOKEN_JWKS_URL or METER_TOKEN_JWKS_FILE, not both")
        return Issuer(name, KeyFile(settings.token_jwks_file, settings.token_algorithms))
    if settings.token_jwks_url is None and not is_web_address(name):
        raise ConfigurationError(_NO_ISSUER)
    fetch = KeyFetch(name, settings.token_jwks_url, settings.token_algorithms)
    return Issuer(name, IssuerKeys(fetch), fetch)


@asynccontextmanager
async def identity(
    settings: Settings, issuer: Issuer, primary: ReaderConnections, registry: CollectorRegistry
) -> AsyncIterator[Identity]:
    """Know who is asking while the block runs.

    Args:
        settings: the audience, the claims, the limits.
        issuer: as of :func:`issuer_of`.
        primary: connections to the primary, acting as ``meter_reader`` or ``meter_admin``.
        registry: where the metrics are shown.

    Raises:
        ConfigurationError: something is not installed that a setting needs.
    """
    redis_url = None if settings.redis_url is None else settings.redis_url.get_secret_value()
    async with AsyncExitStack() as stack:
        limits = await stack.enter_async_context(rate_limits(redis_url, registry))
        if issuer.fetch is not None:
            await stack.enter_async_context(issuer.fetch)
        if isinstance(issuer.keys, IssuerKeys):
            await stack.enter_async_context(issuer.keys.kept_current())
        yield Identity(
            tokens=Tokens(
                issuer.name,
                settings.token_audience,
                issuer.keys,
                algorithms=settings.token_algorithms,
                roles=RoleClaims(settings.token_role_claims, settings.system_admin_role),
            ),
            services=ServiceKeys(PresentedKeys(primary)),
            limits=CallerLimits(
                limits,
                Allowances(
                    settings.reads_per_minute,
                    settings.writes_per_minute,
                    settings.failed_sign_ins_per_minute,
                ),
            ),
            renewable=issuer.keys if isinstance(issuer.keys, IssuerKeys) else None,
            cors_origins=settings.cors_origins,
        )
