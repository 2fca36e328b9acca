"""``meter admin`` as a process: what it serves and where, with which logins, and what it needs to start."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest
from tests.read_api import BASE_PATH, ISSUER, Issuer
from tests.served_process import DEADLINE_S, meter_process, ports

from meter.local.logins import make_logins

if TYPE_CHECKING:
    from pathlib import Path

    from tests.private_servers import FreshDatabase


async def test_it_reads_as_the_reader_writes_as_the_admin_and_ends_when_told(
    database: FreshDatabase, tmp_path: Path
) -> None:
    issuer = Issuer(tmp_path / "jwks.json")
    connection = await asyncpg.connect(database.dsn)
    await connection.execute("select create_organization('acme')")
    await connection.close()
    logins = await make_logins(database.dsn)
    settings = {
        "METER_DATABASE_URL": logins["meter_admin"],
        "METER_READ_DATABASE_URL": logins["meter_reader"],
        "METER_TOKEN_ISSUER": ISSUER,
        "METER_TOKEN_JWKS_FILE": str(issuer.jwks_file),
        "METER_ADMIN_PORT": "0",
        "METER_ADMIN_METRICS_PORT": "0",
    }
    async with meter_process("admin", **settings) as process, httpx.AsyncClient(timeout=DEADLINE_S) as http:
        port, metrics_port = await ports(process)
        base = f"http://127.0.0.1:{port}"
        ready = await http.get(f"{base}/readyz")
        assert ready.json() == {"ready": True, "checks": {"database": "ok", "reads": "ok"}}
        token = issuer.token("sam", roles=["system_admin"])
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k1"}
        added = await http.post(
            f"{base}{BASE_PATH}/credits/acme/add", headers=headers, json={"credits": "5", "reason": "bonus"}
        )
        pool = await http.get(f"{base}{BASE_PATH}/credits/acme", headers=headers)
        assert (added.status_code, pool.json()["available_credits"]) == (200, "5")
        assert (await http.get(f"{base}/metrics")).status_code == 404
        metrics = (await http.get(f"http://127.0.0.1:{metrics_port}/metrics")).text
        assert f'method="POST",route="{BASE_PATH}/credits/{{org_id}}/add",status="200"' in metrics
        assert 'meter_build_info{role="admin"' in metrics
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DEADLINE_S):
            _, errors = await process.communicate()
    assert (process.returncode, b"Traceback" in errors) == (0, False)


@pytest.mark.parametrize("missing", ["METER_DATABASE_URL", "METER_TOKEN_ISSUER"])
async def test_what_is_missing_is_said_in_one_sentence(missing: str, tmp_path: Path) -> None:
    settings = {
        "METER_DATABASE_URL": "postgresql://x@127.0.0.1/x",
        "METER_TOKEN_ISSUER": ISSUER,
        "METER_TOKEN_JWKS_FILE": str(Issuer(tmp_path / "jwks.json").jwks_file),
    }
    del settings[missing]
    async with meter_process("admin", **settings) as process, asyncio.timeout(DEADLINE_S):
        _, errors = await process.communicate()
    assert process.returncode in (1, 2)
    assert missing in errors.decode()
    assert len(errors.decode().strip().splitlines()) == 1
