"""Tokens of a certified OpenID provider: its keys are discovered, followed, and kept while it is away."""

from __future__ import annotations

import base64
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest
from prometheus_client import CollectorRegistry
from tests.openid_provider import openid_provider
from tests.read_api import BASE_PATH, UNLIMITED, gateways
from tests.running_worker import until

from meter.api.app import build_app
from meter.api.health import checks_of
from meter.api.http_metrics import HttpMetrics
from meter.api.identity import identity, issuer_of
from meter.api.issuer_keys import UNKNOWN_BURST
from meter.db.reading import open_reader
from meter.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.openid_provider import OpenIdProvider
    from tests.private_servers import FreshDatabase, PostgresServers

MINE = f"{BASE_PATH}/organizations"


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[OpenIdProvider]:
    async with openid_provider(load_settings().cache_dir) as running:
        yield running


@pytest.fixture(scope="module")
async def database(postgres_servers: PostgresServers) -> AsyncIterator[FreshDatabase]:
    async with postgres_servers.database() as fresh:
        connection = await asyncpg.connect(fresh.dsn)
        await connection.execute("select create_organization('acme'), create_organization('globex')")
        await connection.execute("select add_organization_member('acme', 'ann', 'member')")
        await connection.close()
        yield fresh


@asynccontextmanager
async def api(database: FreshDatabase, **told: object) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app with an issuer as the settings name it."""
    settings = Settings.model_validate(
        {
            "reads_per_minute": UNLIMITED.reads,
            "failed_sign_ins_per_minute": UNLIMITED.failed_sign_ins,
            "token_role_claims": "roles, realm_access.roles",
            **told,
        }
    )
    registry = CollectorRegistry()
    async with (
        await open_reader(database.dsn) as pool,
        identity(settings, issuer_of(settings), pool, registry) as known,
    ):
        app = build_app(gateways(pool), known, HttpMetrics(registry), checks_of(pool))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://meter.test") as http:
            yield http


async def asked(http: httpx.AsyncClient, token: str) -> tuple[int, list[str]]:
    """The status for a token, and the organizations that it sees."""
    answer = await http.get(MINE, headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, [item["org_id"] for item in answer.json().get("items", [])]


def with_made_up_key(token: str, key_id: str) -> str:
    _, claims, signature = token.split(".")
    header = json.dumps({"alg": "RS256", "kid": key_id, "typ": "at+jwt"}).encode()
    return ".".join([base64.urlsafe_b64encode(header).rstrip(b"=").decode(), claims, signature])


async def test_people_sign_in_with_its_tokens_and_its_roles_count(
    provider: OpenIdProvider, database: FreshDatabase
) -> None:
    async with api(database, token_issuer=provider.issuer) as http:
        assert await asked(http, await provider.token("ann")) == (200, ["acme"])
        assert await asked(http, await provider.token("root")) == (200, ["acme", "globex"])
        assert await asked(http, await provider.token("ann", "urn:meter:es256")) == (200, ["acme"])
        assert await asked(http, await provider.token("ann", "urn:elsewhere")) == (401, [])
    async with api(database, token_issuer=provider.issuer, token_algorithms="EdDSA,RS256") as http:
        assert await asked(http, await provider.token("ann")) == (200, ["acme"])
        assert await asked(http, await provider.token("ann", "urn:meter:es256")) == (401, [])
    async with api(database, token_issuer=provider.issuer, token_role_claims="roles") as http:
        assert await asked(http, await provider.token("root")) == (200, [])


async def test_new_keys_count_at_once_and_keys_taken_back_count_no_more(
    provider: OpenIdProvider, database: FreshDatabase
) -> None:
    async with api(database, token_issuer=provider.issuer) as http:
        former = await provider.token()
        assert await asked(http, former) == (200, ["acme"])
        await provider.told("rotate")
        assert await asked(http, await provider.token()) == (200, ["acme"])
        assert await asked(http, former) == (200, ["acme"])
        await provider.told("rotate")
        await provider.told("forget")
        assert await asked(http, await provider.token()) == (200, ["acme"])
        assert await asked(http, former) == (401, [])


async def test_known_keys_go_on_while_the_issuer_is_away(
    provider: OpenIdProvider, database: FreshDatabase
) -> None:
    async with api(database, token_issuer=provider.issuer) as http:
        former, other = await provider.token(), await provider.token("root")
        assert await asked(http, former) == (200, ["acme"])
        await provider.told("rotate")
        latest = await provider.token()
        await provider.told("leave")
        assert await asked(http, latest) == (401, [])
        assert await asked(http, former) == (200, ["acme"])
        assert await asked(http, other) == (200, ["acme", "globex"])
        await provider.told("return")
        assert await until(lambda: asked(http, latest), lambda got: got[0] != 401) == (200, ["acme"])


async def test_an_issuer_that_is_away_at_the_start_is_503_until_it_is_back(
    provider: OpenIdProvider, database: FreshDatabase
) -> None:
    token = await provider.token()
    await provider.told("leave")
    async with api(database, token_issuer=provider.issuer) as http:
        answer = await http.get(MINE, headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:meter:problem:issuer-unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert (await http.get("/readyz")).status_code == 200
        await provider.told("return")
        assert await until(lambda: asked(http, token), lambda got: got[0] != 503) == (200, ["acme"])


async def test_strangers_with_made_up_keys_cannot_make_us_hammer_the_issuer(
    provider: OpenIdProvider, database: FreshDatabase
) -> None:
    async with api(database, token_issuer=provider.issuer) as http:
        token = await provider.token()
        before = await provider.times_asked()
        for number in range(UNKNOWN_BURST * 4):
            assert await asked(http, with_made_up_key(token, f"made-up-{number}")) == (401, [])
        # One more or two may come while the test goes on.
        assert before < await provider.times_asked() <= before + UNKNOWN_BURST + 2
        assert await asked(http, token) == (200, ["acme"])


async def test_the_address_of_the_keys_may_be_given_and_the_issuer_is_held_to_its_name(
    provider: OpenIdProvider, database: FreshDatabase
) -> None:
    jwks_url = f"{provider.issuer}/jwks"
    async with api(database, token_issuer=provider.issuer, token_jwks_url=jwks_url) as http:
        assert await asked(http, await provider.token()) == (200, ["acme"])
    async with api(database, token_issuer="https://other.test", token_jwks_url=jwks_url) as http:
        assert await asked(http, await provider.token()) == (401, [])
    # Its discovery document says another name: nothing of it is believed.
    async with api(database, token_issuer=f"{provider.issuer}/") as http:
        assert (await asked(http, await provider.token()))[0] == 503
