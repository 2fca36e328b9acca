"""The read API as its tests use it: an issuer of tokens, and a client that checks answers by the contract."""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import jsonschema
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry

from meter.api.access import Gateways
from meter.api.app import ReadApi, build_app
from meter.api.authentication import BASE_PATH, Identity
from meter.api.caller_limits import Allowances, CallerLimits
from meter.api.databases import ReadDatabases
from meter.api.health import checks_of
from meter.api.http_metrics import HttpMetrics
from meter.api.key_file import KeyFile
from meter.api.rate_counters import own_counters
from meter.api.rate_limits import RateLimits
from meter.api.service_keys import ServiceKeys
from meter.api.tokens import Tokens
from meter.db.api_keys import PresentedKeys
from meter.db.reading import STATEMENT_TIMEOUT_MS, open_reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.types import ASGIApp
    from tests.private_servers import PostgresServers

    from meter.db.reader import ReaderConnections

ISSUER = "https://issuer.test"
AUDIENCE = "meter"
#: More than any test asks, but where it is about the limits.
UNLIMITED = Allowances(reads=1_000_000, writes=1_000_000, failed_sign_ins=1_000_000)


class Issuer:
    """Signs tokens with a key of its own; its public key is in ``jwks_file``."""

    def __init__(self, jwks_file: Path, key_id: str = "one") -> None:
        self.jwks_file = jwks_file
        self.key_id = key_id
        self.private_key = Ed25519PrivateKey.generate()
        jwks_file.write_text(json.dumps({"keys": [self.public_jwk()]}))

    def public_jwk(self) -> dict[str, Any]:
        algorithm = jwt.get_algorithm_by_name("EdDSA")
        public = algorithm.to_jwk(self.private_key.public_key(), as_dict=True)
        return {**public, "kid": self.key_id, "use": "sig", "alg": "EdDSA"}

    def claims(self, user_id: str, **changed: object) -> dict[str, Any]:
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": user_id, "iat": now, "exp": now + 3_600}
        return {name: value for name, value in {**claims, **changed}.items() if value is not None}

    def token(self, user_id: str, **changed: object) -> str:
        return jwt.encode(
            self.claims(user_id, **changed), self.private_key, "EdDSA", headers={"kid": self.key_id}
        )

    def tokens(self) -> Tokens:
        return Tokens(ISSUER, AUDIENCE, KeyFile(self.jwks_file))

    def identity(
        self,
        primary: ReaderConnections,
        registry: CollectorRegistry | None = None,
        allowances: Allowances = UNLIMITED,
        limits: RateLimits | None = None,
        cors_origins: tuple[str, ...] = (),
    ) -> Identity:
        """Who is known to an app: this issuer's tokens, the API keys of a database; nobody asks too often."""
        counted = limits or RateLimits(own_counters(), registry or CollectorRegistry())
        return Identity(
            self.tokens(),
            ServiceKeys(PresentedKeys(primary)),
            CallerLimits(counted, allowances),
            cors_origins=cors_origins,
        )


class ApiClient:
    """Asks the API as one user; every answer is held to the OpenAPI document."""

    def __init__(self, http: httpx.AsyncClient, issuer: Issuer) -> None:
        self.http = http
        self.issuer = issuer

    async def get(
        self,
        path: str,
        as_user: str | None = None,
        *,
        system_admin: bool = False,
        headers: dict[str, str] | None = None,
        **query: object,
    ) -> httpx.Response:
        sent = dict(headers or {})
        if as_user is not None:
            roles = ["system_admin"] if system_admin else []
            sent["Authorization"] = f"Bearer {self.issuer.token(as_user, roles=roles)}"
        parameters = {name.removesuffix("_"): str(value) for name, value in query.items()}
        response = await self.http.get(BASE_PATH + path, headers=sent, params=parameters or None)
        check_against_contract(response)
        return response


@asynccontextmanager
async def read_api_app(
    dsn: str,
    issuer: Issuer,
    registry: CollectorRegistry,
    *,
    statement_timeout_ms: int = STATEMENT_TIMEOUT_MS,
) -> AsyncIterator[ASGIApp]:
    """The app as ``meter api`` builds it."""
    async with await open_reader(dsn, statement_timeout_ms=statement_timeout_ms) as pool:
        yield build_app(
            gateways(pool), issuer.identity(pool, registry), HttpMetrics(registry), checks_of(pool)
        )


@asynccontextmanager
async def read_api(dsn: str, folder: Path) -> AsyncIterator[ApiClient]:
    """A client of the app, without a network between them."""
    issuer = Issuer(folder / "jwks.json")
    async with read_api_app(dsn, issuer, CollectorRegistry()) as app:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://meter.test") as http:
            yield ApiClient(http, issuer)


@asynccontextmanager
async def seeded_api(servers: PostgresServers, seed: str, folder: Path) -> AsyncIterator[ApiClient]:
    """A client of the app over a fresh database in which some SQL was run first."""
    async with servers.database() as fresh:
        connection = await asyncpg.connect(fresh.dsn)
        await connection.execute(seed)
        await connection.close()
        async with read_api(fresh.dsn, folder) as client:
            yield client


def gateways(pool: ReaderConnections) -> Gateways:
    return Gateways.of(ReadDatabases(pool, pool))


def check_against_contract(response: httpx.Response, contract: dict[str, Any] | None = None) -> None:
    """Fail where an answer is not what the OpenAPI document says, that of the read API or another."""
    contract = contract or _CONTRACT
    assert response.status_code != 500, response.text
    assert response.headers["x-request-id"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.status_code < 400 or response.headers["content-type"] == "application/problem+json"
    if response.request.url.path.startswith(BASE_PATH):
        # For its caller alone: neither a proxy nor anybody else at the browser is shown it.
        assert response.headers["cache-control"] in ("private, no-cache", "no-store")
        assert response.headers["cache-control"] == "no-store" or "Authorization" in response.headers["vary"]
    answers = _answers_of(response.request, contract)
    if answers is None:
        assert response.status_code in (401, 404, 405), response.text
        return
    answer = answers[str(response.status_code)]
    media_type = response.headers.get("content-type", "").partition(";")[0]
    if response.content:
        schema = {**answer["content"][media_type]["schema"], "components": contract["components"]}
        if media_type in ("application/json", "application/problem+json"):
            jsonschema.validate(
                response.json(), schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
            )


_CONTRACT = ReadApi().openapi()


def _answers_of(request: httpx.Request, contract: dict[str, Any]) -> dict[str, Any] | None:
    parts = request.url.raw_path.decode().partition("?")[0].split("/")
    # As the router does: what is said of all of a path goes before what has parameters.
    for template, operations in sorted(contract["paths"].items(), key=lambda item: item[0].count("{")):
        wanted = template.split("/")
        if len(wanted) == len(parts) and all(
            want == part or (want.startswith("{") and part) for want, part in zip(wanted, parts, strict=True)
        ):
            if request.method.lower() not in operations:
                continue
            answers: dict[str, Any] = operations[request.method.lower()]["responses"]
            return answers
    return None
