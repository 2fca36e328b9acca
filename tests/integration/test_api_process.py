"""``meter api`` as a process: what it needs to start, and how it ends."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest
from tests.read_api import BASE_PATH, ISSUER, Issuer
from tests.served_process import DEADLINE_S, meter_process, ports

from meter.db.api_keys import ApiKeys, NewApiKey
from meter.db.key_secrets import make_key
from meter.db.pool import open_pool

if TYPE_CHECKING:
    from pathlib import Path

    from tests.private_servers import FreshDatabase, PostgresServers


async def test_it_serves_until_sigterm_and_finishes_what_is_under_way(
    database: FreshDatabase, tmp_path: Path
) -> None:
    issuer = Issuer(tmp_path / "jwks.json")
    connection = await asyncpg.connect(database.dsn)
    await connection.execute("select create_organization('acme')")
    await connection.execute("select add_organization_member('acme', 'ann', 'member')")
    settings = {
        "METER_DATABASE_URL": database.dsn,
        "METER_TOKEN_ISSUER": ISSUER,
        "METER_TOKEN_JWKS_FILE": str(issuer.jwks_file),
        "METER_API_PORT": "0",
        "METER_API_METRICS_PORT": "0",
    }
    async with meter_process("api", **settings) as process, httpx.AsyncClient(timeout=DEADLINE_S) as http:
        port, metrics_port = await ports(process)
        url = f"http://127.0.0.1:{port}{BASE_PATH}/credits/acme"
        headers = {"Authorization": f"Bearer {issuer.token('ann')}"}
        assert (await http.get(url, headers=headers)).json()["org_id"] == "acme"
        metrics = await http.get(f"http://127.0.0.1:{metrics_port}/metrics")
        assert "meter_http_requests_total" in metrics.text
        assert 'meter_build_info{role="api"' in metrics.text

        async with connection.transaction():
            await connection.execute("lock table organization_credit_pools")
            under_way = asyncio.create_task(http.get(url, headers=headers))
            await blocked(connection)
            process.send_signal(signal.SIGTERM)
        assert (await under_way).status_code == 200
        async with asyncio.timeout(DEADLINE_S):
            _, errors = await process.communicate()
    assert (process.returncode, b"Traceback" in errors) == (0, False)
    await connection.close()


async def test_with_a_replica_keys_and_membership_are_those_of_the_primary(
    postgres_servers: PostgresServers, tmp_path: Path
) -> None:
    issuer = Issuer(tmp_path / "jwks.json")
    async with postgres_servers.database() as primary, postgres_servers.database() as replica:
        # A replica that is behind: it still has the former member and key, and not yet the new ones.
        for database, members, key, credits in (
            (primary, ["ann"], good := make_key(), 1),
            (replica, ["ann", "ben"], stale := make_key(), 2),
        ):
            connection = await asyncpg.connect(database.dsn)
            await connection.execute("select create_organization('acme')")
            await connection.execute("select add_credits_to_pool('acme', $1)", credits)
            for member in members:
                await connection.execute("select add_organization_member('acme', $1, 'member')", member)
            await connection.close()
            async with await open_pool(database.dsn, "meter_admin", max_connections=1) as admin:
                made = NewApiKey("acme", "reports", ["read"])
                await ApiKeys(admin).add(made, key.prefix, key.sha256, actor="test")
        settings = {
            "METER_DATABASE_URL": primary.dsn,
            "METER_READ_DATABASE_URL": replica.dsn,
            "METER_TOKEN_ISSUER": ISSUER,
            "METER_TOKEN_JWKS_FILE": str(issuer.jwks_file),
            "METER_API_PORT": "0",
            "METER_API_METRICS_PORT": "0",
        }
        async with meter_process("api", **settings) as process, httpx.AsyncClient(timeout=DEADLINE_S) as http:
            port, _ = await ports(process)
            url = f"http://127.0.0.1:{port}{BASE_PATH}/credits/acme"
            answers = [
                await http.get(url, headers={"Authorization": f"Bearer {credential}"})
                for credential in (issuer.token("ann"), good.key, issuer.token("ben"), stale.key)
            ]
            ready = await http.get(f"http://127.0.0.1:{port}/readyz")
    assert [answer.status_code for answer in answers] == [200, 200, 404, 401]
    assert [answer.json()["total_credits"] for answer in answers[:2]] == ["2", "2"]
    assert ready.json()["checks"] == {"database": "ok", "primary": "ok"}


async def blocked(connection: asyncpg.Connection) -> None:
    """Wait until a statement of the API waits for our lock."""
    async with asyncio.timeout(DEADLINE_S):
        waiting = 0
        while not waiting:
            waiting = await connection.fetchval("select count(*) from pg_locks where not granted")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"METER_DATABASE_URL": "postgresql://x@127.0.0.1/x"}, "METER_TOKEN_ISSUER"),
        (
            {"METER_DATABASE_URL": "postgresql://x@127.0.0.1/x", "METER_TOKEN_ISSUER": "i"},
            "METER_TOKEN_JWKS_FILE",
        ),
        ({"METER_TOKEN_ISSUER": "i", "METER_TOKEN_JWKS_FILE": "absent.json"}, "METER_TOKEN_JWKS_FILE"),
    ],
)
async def test_what_is_missing_is_said_in_one_sentence(settings: dict[str, str], said: str) -> None:
    async with meter_process("api", **settings) as process, asyncio.timeout(DEADLINE_S):
        _, errors = await process.communicate()
    assert process.returncode in (1, 2)
    assert said in errors.decode()
    assert "Traceback" not in errors.decode()
    assert len(errors.decode().strip().splitlines()) == 1


async def test_without_a_database_url_it_says_what_to_set(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path / "jwks.json")
    settings = {"METER_TOKEN_ISSUER": ISSUER, "METER_TOKEN_JWKS_FILE": str(issuer.jwks_file)}
    async with meter_process("api", **settings) as process, asyncio.timeout(DEADLINE_S):
        _, errors = await process.communicate()
    assert process.returncode in (1, 2)
    assert "METER_DATABASE_URL" in errors.decode()
