"""An issuer that hangs or dawdles: who is known goes on, who is not waits a bounded time for one fetch."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import httpx
import jwt
import pytest
from prometheus_client import CollectorRegistry
from tests.read_api import AUDIENCE, BASE_PATH, ISSUER, UNLIMITED, Issuer, gateways
from tests.running_worker import until
from tests.unwilling_issuer import unwilling_issuer
from tests.written_log import written_log

from meter.api import issuer_keys, key_fetch
from meter.api.app import build_app
from meter.api.http_metrics import HttpMetrics
from meter.api.identity import identity, issuer_of
from meter.db.reading import open_reader
from meter.settings import Settings

if TYPE_CHECKING:
    import io
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.private_servers import FreshDatabase, PostgresServers
    from tests.unwilling_issuer import UnwillingIssuer

MINE = f"{BASE_PATH}/organizations"
#: What a fetch may take here: long enough that a busy machine serves some others meanwhile.
PATIENCE_S = 1.0
#: Fifty who waited one after the other would take longer.
SOON_S = 10 * PATIENCE_S


@pytest.fixture(scope="module")
async def database(postgres_servers: PostgresServers) -> AsyncIterator[FreshDatabase]:
    async with postgres_servers.database() as fresh:
        connection = await asyncpg.connect(fresh.dsn)
        await connection.execute("select create_organization('acme', p_owner => 'ann')")
        await connection.close()
        yield fresh


@pytest.fixture
def signer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Issuer:
    monkeypatch.setattr(key_fetch, "FETCH_TIMEOUT_S", PATIENCE_S)
    return Issuer(tmp_path / "jwks.json")


@pytest.fixture
async def issuer(signer: Issuer) -> AsyncIterator[UnwillingIssuer]:
    async with unwilling_issuer(signer) as running:
        yield running


class Api:
    """The app, and people who ask it."""

    def __init__(self, http: httpx.AsyncClient, signer: Issuer) -> None:
        self._http = http
        self._signer = signer

    async def status_of(self, key_id: str = "one") -> int:
        """The answer to a token of ann's that names a key; only ``one`` is the issuer's."""
        token = jwt.encode(
            self._signer.claims("ann"), self._signer.private_key, "EdDSA", headers={"kid": key_id}
        )
        answer = await self._http.get(MINE, headers={"Authorization": f"Bearer {token}"})
        return answer.status_code


@asynccontextmanager
async def api(database: FreshDatabase, issuer: UnwillingIssuer, signer: Issuer) -> AsyncIterator[Api]:
    settings = Settings.model_validate(
        {
            "token_issuer": ISSUER,
            "token_audience": AUDIENCE,
            "token_jwks_url": issuer.jwks_url,
            "reads_per_minute": UNLIMITED.reads,
            "failed_sign_ins_per_minute": UNLIMITED.failed_sign_ins,
        }
    )
    registry = CollectorRegistry()
    async with (
        await open_reader(database.dsn) as pool,
        identity(settings, issuer_of(settings), pool, registry) as known,
    ):
        app = build_app(gateways(pool), known, HttpMetrics(registry), {})
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://meter.test") as http:
            yield Api(http, signer)


@pytest.mark.parametrize("mood", ["hangs", "dawdles"])
async def test_strangers_wait_together_for_one_fetch_while_who_is_known_is_served(
    database: FreshDatabase, issuer: UnwillingIssuer, signer: Issuer, mood: str
) -> None:
    async with api(database, issuer, signer) as people:
        assert (await people.status_of(), issuer.asked) == (200, 1)
        issuer.mood = mood  # type: ignore[assignment]
        started = asyncio.get_running_loop().time()
        strangers = [asyncio.create_task(people.status_of(f"made-up-{number}")) for number in range(50)]
        await until(issuer.times_asked, lambda asked: asked == 2)
        assert [await people.status_of() for _ in range(5)] == [200] * 5
        assert not any(stranger.done() for stranger in strangers), "nobody waited: nothing was shown"
        assert await asyncio.gather(*strangers) == [401] * 50
        assert asyncio.get_running_loop().time() - started < SOON_S
        assert issuer.asked == 2
        await until(issuer.still_there, lambda there: there == 0)


async def test_who_comes_right_after_a_fetch_that_failed_does_not_wait_for_another(
    database: FreshDatabase, issuer: UnwillingIssuer, signer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_keys, "FAILURE_HOLDS_S", 3_600.0)
    async with api(database, issuer, signer) as people:
        issuer.mood = "hangs"
        assert await people.status_of("made-up") == 401
        asked = issuer.asked
        assert [await people.status_of(f"made-up-{number}") for number in range(20)] == [401] * 20
        assert issuer.asked == asked


async def test_no_more_wait_than_the_bound(
    database: FreshDatabase, issuer: UnwillingIssuer, signer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_keys, "WAITING_MAX", 3)
    async with api(database, issuer, signer) as people:
        issuer.mood = "hangs"
        waiting = [asyncio.create_task(people.status_of(f"made-up-{number}")) for number in range(3)]
        await until(issuer.times_asked, lambda asked: asked == 2)
        assert await people.status_of("one-too-many") == 401
        assert not any(stranger.done() for stranger in waiting)
        await asyncio.gather(*waiting)


async def test_an_issuer_that_hangs_from_the_start_is_503_in_time_and_used_once_it_answers(
    database: FreshDatabase, issuer: UnwillingIssuer, signer: Issuer
) -> None:
    issuer.mood = "hangs"
    started = asyncio.get_running_loop().time()
    async with api(database, issuer, signer) as people:
        assert await people.status_of() == 503
        assert asyncio.get_running_loop().time() - started < SOON_S
        issuer.mood = "answers"
        assert await until(people.status_of, lambda status: status != 503) == 200


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    with written_log("info") as lines:
        yield lines


async def test_a_fetch_is_no_line_of_the_librarys_in_the_log(
    database: FreshDatabase, issuer: UnwillingIssuer, signer: Issuer, log: io.StringIO
) -> None:
    async with api(database, issuer, signer) as people:
        await people.status_of("made-up")
        assert issuer.asked == 2
    assert {json.loads(line)["logger"].partition(".")[0] for line in log.getvalue().splitlines()} == {"meter"}
