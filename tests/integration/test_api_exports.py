"""Exports over a real connection: an end fixed at the start, flat memory, no clean end after a failure."""

from __future__ import annotations

import json
import socket
import tracemalloc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest
from prometheus_client import CollectorRegistry
from tests.read_api import BASE_PATH, Issuer, read_api_app

from meter.db.reading import STATEMENT_TIMEOUT_MS
from meter.operations import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.private_servers import FreshDatabase

ORGANIZATION = """
select create_organization('acme');
select add_organization_member('acme', 'olga', 'owner');
"""
#: Straight into the table: thousands of events in a moment. $1 events, $2 characters of metadata, which
#: compress badly.
EVENTS = """
insert into credit_usage_attribution (event_key, occurred_at, outcome, key_source, entry, credits_given,
    key_source_given, org_id, event_id, source, user_id, credits_used, service_type, quantity,
    request_metadata)
select gen_random_uuid(), timestamptz '2026-01-01Z' + n * interval '1 second', 'charged', 'platform', 0, true,
    false, 'acme', n::text, 'test', 'ann', 1, 'llm', 1, jsonb_build_object('text', (
        select string_agg(md5(n || ' ' || part), '') from generate_series(1, $2::integer / 32) as part))
from generate_series(1, $1::integer) as n
"""
#: Three statements' worth, and far more bytes than the buffers of a connection hold: the last statement is
#: sent only when most of it has been read, which happens after the first line.
UNREAD = {"events": 2_500, "metadata_chars": 8_000}


@asynccontextmanager
async def served(
    database: FreshDatabase,
    folder: Path,
    encoding: str = "identity",
    statement_timeout_ms: int = STATEMENT_TIMEOUT_MS,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client that owner olga is signed in with; its connections have small buffers."""
    issuer = Issuer(folder / "jwks.json")
    small = httpx.AsyncHTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)])
    async with (
        read_api_app(
            database.dsn, issuer, CollectorRegistry(), statement_timeout_ms=statement_timeout_ms
        ) as app,
        serving(app, "127.0.0.1", 0) as port,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}{BASE_PATH}",
            transport=small,
            headers={"Authorization": f"Bearer {issuer.token('olga')}", "Accept-Encoding": encoding},
        ) as http,
    ):
        yield http


@pytest.fixture
async def owner(database: FreshDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.dsn)
    await connection.execute(ORGANIZATION)
    yield connection
    await connection.close()


async def test_what_is_recorded_after_it_began_is_left_out(
    database: FreshDatabase, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    await owner.execute(EVENTS, UNREAD["events"], UNREAD["metadata_chars"])
    async with (
        served(database, tmp_path) as http,
        http.stream("GET", "/credits/acme/events?format=ndjson") as response,
    ):
        lines = response.aiter_lines()
        ids = [json.loads(await anext(lines))["event_id"]]
        # Older than all that was there, so the export comes past it; but recorded only now.
        await owner.execute("select set_pool_terms('acme', false)")
        await owner.execute("""select deduct_credits('acme', 'ann', 0, 'llm', p_event_id => 'late',
            p_occurred_at => '2025-12-31Z')""")
        ids += [json.loads(line)["event_id"] async for line in lines]
    assert ids == [str(number) for number in range(UNREAD["events"], 0, -1)]


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_a_failure_midway_breaks_the_connection_off(
    database: FreshDatabase, owner: asyncpg.Connection, tmp_path: Path, encoding: str
) -> None:
    await owner.execute(EVENTS, UNREAD["events"], UNREAD["metadata_chars"])
    async with (
        served(database, tmp_path, encoding) as http,
        http.stream("GET", "/credits/acme/events?format=csv") as response,
    ):
        assert response.status_code == 200
        assert response.headers.get("content-encoding", "identity") == encoding
        chunks = response.aiter_bytes()
        assert (await anext(chunks)).startswith(b"event_key,entry,")
        await owner.execute("revoke select on credit_usage_attribution from meter_reader")
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            async for _chunk in chunks:
                pass


async def test_an_export_takes_as_long_as_it_takes_and_each_of_its_statements_no_longer_than_it_may(
    database: FreshDatabase, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    await owner.execute(EVENTS, UNREAD["events"], UNREAD["metadata_chars"])
    path = "/credits/acme/events?format=ndjson"
    async with served(database, tmp_path, statement_timeout_ms=1_000) as http:
        async with http.stream("GET", path) as response:
            lines = response.aiter_lines()
            await anext(lines)
            # The reader takes a rest that is longer than any statement may be.
            await owner.execute("select pg_sleep(1.1)")
            assert 1 + sum([1 async for _line in lines]) == UNREAD["events"]
        async with http.stream("GET", path) as response, owner.transaction():
            chunks = response.aiter_bytes()
            await anext(chunks)
            await owner.execute("lock table credit_usage_attribution")
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
                async for _chunk in chunks:
                    pass


async def test_a_failure_before_the_first_byte_is_a_problem(
    database: FreshDatabase, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    await owner.execute("revoke select on credit_usage_attribution from meter_reader")
    async with served(database, tmp_path) as http:
        response = await http.get("/credits/acme/events?format=csv")
    assert response.status_code == 503
    assert response.json()["type"] == "urn:meter:problem:database-unavailable"
    assert response.headers["retry-after"] == "5"


async def test_memory_does_not_grow_with_the_length_of_an_export(
    database: FreshDatabase, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    async def peak_bytes(http: httpx.AsyncClient) -> tuple[int, int]:
        tracemalloc.start()
        lines = 0
        async with http.stream("GET", "/credits/acme/events?format=ndjson") as response:
            async for chunk in response.aiter_bytes():
                lines += chunk.count(b"\n")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return lines, peak

    await owner.execute(EVENTS, 2_000, 300)
    async with served(database, tmp_path) as http:
        await peak_bytes(http)  # what is cached at first use
        few, peak_of_few = await peak_bytes(http)
        await owner.execute(EVENTS, 12_000, 300)
        many, peak_of_many = await peak_bytes(http)
    assert (few, many) == (2_000, 14_000)
    assert peak_of_many < 1.5 * peak_of_few


async def test_an_export_in_gzip_is_the_same_and_shorter(
    database: FreshDatabase, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    await owner.execute(EVENTS, 1_500, 64)
    path = "/credits/acme/events?format=ndjson"
    async with served(database, tmp_path) as http:
        plain = await http.get(path)
        packed = await http.get(path, headers={"Accept-Encoding": "gzip"})
    assert (packed.content, packed.headers["content-encoding"]) == (plain.content, "gzip")
    assert packed.num_bytes_downloaded < plain.num_bytes_downloaded / 2
    assert "Accept-Encoding" in packed.headers["vary"]
    assert "Authorization" in packed.headers["vary"]


async def test_an_empty_export_has_the_csv_header_and_nothing_else(
    database: FreshDatabase, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    async with served(database, tmp_path) as http:
        response = await http.get("/credits/acme/events?format=csv")
        assert response.text.count("\r\n") == 1
        assert response.text.startswith("event_key,entry,event_id,")
        assert response.headers["content-disposition"] == 'attachment; filename="usage-acme.csv"'
        assert (await http.get("/credits/acme/events?format=ndjson")).content == b""
