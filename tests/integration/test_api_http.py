"""What every response carries, what is counted of it, and health, over a real connection."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest
import structlog
from prometheus_client import CollectorRegistry, generate_latest
from structlog.testing import capture_logs
from tests.read_api import BASE_PATH, Issuer, read_api_app

from meter.api import request_frame
from meter.db.pool import open_pool
from meter.operations import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import FreshDatabase


class Served:
    """The API on a port of its own."""

    def __init__(
        self, http: httpx.AsyncClient, issuer: Issuer, registry: CollectorRegistry, port: int
    ) -> None:
        self.http = http
        self.issuer = issuer
        self.registry = registry
        self.port = port

    def as_user(self, user_id: str, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.issuer.token(user_id)}", **more}


@pytest.fixture
async def served(database: FreshDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    connection = await asyncpg.connect(database.dsn)
    await connection.execute("select create_organization('acme')")
    await connection.execute("select add_organization_member('acme', 'a/b@c', 'owner')")
    await connection.close()
    issuer = Issuer(tmp_path_factory.mktemp("api") / "jwks.json")
    registry = CollectorRegistry()
    async with (
        read_api_app(database.dsn, issuer, registry) as app,
        serving(app, "127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        yield Served(http, issuer, registry, port)


async def test_a_request_id_is_taken_or_made_and_on_every_response_and_log_line(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    path = f"{BASE_PATH}/credits/acme"
    # Where answers as they should be have a line too.
    caplog.set_level(logging.DEBUG, request_frame.__name__)
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        taken = await served.http.get(path, headers=served.as_user("a/b@c", **{"X-Request-ID": "mine-1"}))
        made = await served.http.get(path)
        missing = await served.http.get("/nowhere")
    assert taken.headers["x-request-id"] == "mine-1"
    ids = [response.headers["x-request-id"] for response in (taken, made, missing)]
    assert len(set(ids)) == 3
    assert [line["request_id"] for line in logs if line["event"] == "request"] == ids


@pytest.mark.parametrize("bad", ["", "a b", "x" * 129, "é", "<script>", "a\tb", "-a"])
async def test_a_request_id_unfit_for_a_log_line_is_replaced(served: Served, bad: str) -> None:
    response = await served.http.get("/livez", headers=[(b"x-request-id", bad.encode())])
    assert len(response.headers.get_list("x-request-id")) == 1
    assert response.headers["x-request-id"] != bad


async def test_security_headers_are_on_every_response(served: Served) -> None:
    for path in ("/livez", "/nowhere", "/openapi.json", f"{BASE_PATH}/credits/acme"):
        headers = (await served.http.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]


async def test_metrics_have_route_templates_and_are_not_on_the_public_port(served: Served) -> None:
    assert (await served.http.get("/metrics")).status_code == 404
    await served.http.get(f"{BASE_PATH}/credits/acme", headers=served.as_user("a/b@c"))
    await served.http.get(f"{BASE_PATH}/credits/acme/events?format=csv", headers=served.as_user("a/b@c"))
    await served.http.get(f"{BASE_PATH}/credits/user/a%2Fb@c", headers=served.as_user("a/b@c"))
    await served.http.get(f"{BASE_PATH}/credits/acme")
    await served.http.request("BREW", f"{BASE_PATH}/credits/acme", headers=served.as_user("a/b@c"))
    text = generate_latest(served.registry).decode()
    for route, status in (
        ("/credits/{org_id}", 200),
        ("/credits/{org_id}/events", 200),
        ("/credits/user/{user_id:path}", 200),
    ):
        line = f'meter_http_requests_total{{method="GET",route="{BASE_PATH}{route}",status="{status}"}} 1.0'
        assert line in text
    assert 'meter_http_requests_total{method="GET",route="none",status="401"} 1.0' in text
    assert 'method="OTHER"' in text
    assert "acme" not in text
    assert "b@c" not in text
    assert (
        f'meter_http_request_seconds_count{{method="GET",route="{BASE_PATH}/credits/{{org_id}}"}} 1.0' in text
    )


async def test_liveness_and_readiness_need_no_token(served: Served) -> None:
    assert (await served.http.get("/livez")).json() == {"alive": True}
    ready = await served.http.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "checks": {"database": "ok"}})


async def test_it_is_not_ready_with_another_schema(served: Served, database: FreshDatabase) -> None:
    connection = await asyncpg.connect(database.dsn)
    await connection.execute("update schema_definitions set checksum = 'older'")
    await connection.close()
    ready = await served.http.get("/readyz")
    assert ready.status_code == 503
    assert "meter migrate" in ready.json()["checks"]["database"]
    assert (await served.http.get("/livez")).status_code == 200


async def test_without_a_database_it_answers_503_and_is_not_ready(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers here
        dsn = f"postgresql://nobody@127.0.0.1:{taken.getsockname()[1]}/none"
        issuer = Issuer(tmp_path_factory.mktemp("api") / "jwks.json")
        async with (
            read_api_app(dsn, issuer, CollectorRegistry()) as app,
            serving(app, "127.0.0.1", 0) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http,
        ):
            headers = {"Authorization": f"Bearer {issuer.token('ann')}"}
            response = await http.get(f"{BASE_PATH}/credits/acme", headers=headers)
            assert response.status_code == 503
            assert response.json()["type"] == "urn:meter:problem:database-unavailable"
            assert (await http.get("/readyz")).status_code == 503
            assert (await http.get(f"{BASE_PATH}/credits/acme")).status_code == 401


async def test_it_answers_again_after_its_connections_were_cut(
    served: Served, database: FreshDatabase
) -> None:
    path, headers = f"{BASE_PATH}/credits/acme", served.as_user("a/b@c")
    assert (await served.http.get(path, headers=headers)).status_code == 200
    connection = await asyncpg.connect(database.dsn)
    await connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
        " and datname = current_database()"
    )
    await connection.close()
    statuses = [(await served.http.get(path, headers=headers)).status_code for _ in range(3)]
    assert statuses[-1] == 200
    assert set(statuses) <= {200, 503}


async def test_a_statement_that_takes_too_long_is_504(
    database: FreshDatabase, tmp_path_factory: pytest.TempPathFactory
) -> None:
    issuer = Issuer(tmp_path_factory.mktemp("api") / "jwks.json")
    connection = await asyncpg.connect(database.dsn)
    async with (
        connection.transaction(),
        read_api_app(database.dsn, issuer, CollectorRegistry(), statement_timeout_ms=50) as app,
        serving(app, "127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        await connection.execute("lock table organization_credit_pools")
        headers = {"Authorization": f"Bearer {issuer.token('ann')}"}
        response = await http.get(f"{BASE_PATH}/credits/acme", headers=headers)
    await connection.close()
    assert response.status_code == 504
    assert response.json()["type"] == "urn:meter:problem:took-too-long"


async def test_the_reader_cannot_write_whatever_the_code_does(database: FreshDatabase) -> None:
    async with await open_pool(database.dsn, "meter_reader", max_connections=1, read_only=True) as pool:
        for statement in (
            "insert into organizations (id, name, display_name) values ('x', 'x', 'x')",
            "update organization_credit_pools set total_credits = 1",
            "delete from credit_usage_attribution",
            "select create_organization('x')",
            "select add_credits_to_pool('acme', 1)",
        ):
            with pytest.raises((asyncpg.ReadOnlySQLTransactionError, asyncpg.InsufficientPrivilegeError)):
                await pool.execute(statement)
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await pool.execute(f"set transaction_read_only = off; {statement}")
