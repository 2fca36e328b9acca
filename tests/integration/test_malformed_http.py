"""What is no HTTP is answered as every other error, by both APIs."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest
from tests.read_api import BASE_PATH, ISSUER, Issuer
from tests.served_process import DEADLINE_S, meter_process, ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.private_servers import FreshDatabase

#: What the server holds of a request that is not complete, in bytes.
_HELD_BYTES = 16 * 1024

MALFORMED = {
    "no request line": b"hello\r\n\r\n",
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no version": b"GET /livez\r\n\r\n",
    "a header without a name": b"GET /livez HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
    "a header with a line break": b"GET /livez HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
    "no host": b"GET /livez HTTP/1.1\r\n\r\n",
    "two lengths": b"POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    # Not a byte more, so that nothing is left unread when the connection is closed.
    "a header without end": (head := b"GET /livez HTTP/1.1\r\nHost: a\r\nX: ")
    + b"x" * (_HELD_BYTES + 1 - len(head)),
}


def settings_of(command: str, issuer: Issuer) -> dict[str, str]:
    return {
        # Nobody is there, and need not be.
        "METER_DATABASE_URL": "postgresql://x@127.0.0.1:1/x",
        "METER_TOKEN_ISSUER": ISSUER,
        "METER_TOKEN_JWKS_FILE": str(issuer.jwks_file),
        f"METER_{command.upper()}_PORT": "0",
        f"METER_{command.upper()}_METRICS_PORT": "0",
    }


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield reader, writer
        writer.close()
        await writer.wait_closed()


async def answer_to(port: int, sent: bytes) -> tuple[str, dict[str, str], bytes]:
    """The status line, the headers and the body of what comes until the connection is closed."""
    async with connected(port) as (reader, writer):
        writer.write(sent)
        answer = await reader.read()
    before, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = before.decode().split("\r\n")
    return status, {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}, body


@pytest.mark.parametrize("command", ["api", "admin"])
async def test_what_is_no_http_is_answered_with_a_problem_and_the_connection_closed(
    command: str, tmp_path: Path
) -> None:
    ids = set()
    async with meter_process(command, **settings_of(command, Issuer(tmp_path / "jwks.json"))) as process:
        port, _ = await ports(process)
        _, usual, _ = await answer_to(port, b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        for kind, sent in MALFORMED.items():
            status, headers, body = await answer_to(port, sent)
            assert status == "HTTP/1.1 400 Bad Request", kind
            assert headers["content-type"] == "application/problem+json", kind
            assert int(headers["content-length"]) == len(body), kind
            problem = json.loads(body)
            assert (problem["type"], problem["status"]) == ("urn:meter:problem:malformed-request", 400), kind
            assert usual.keys() <= headers.keys(), kind
            own = {"content-type", "content-length", "cache-control", "date", "x-request-id"}
            assert {usual[name] == headers[name] for name in usual.keys() - own} == {True}, kind
            ids.add(headers["x-request-id"])
        process.kill()
        _, errors = await process.communicate()
    assert len(ids) == len(MALFORMED)
    logged = set(re.findall(r'"request_id": ?"([^"]+)"', errors.decode()))
    assert ids <= logged
    assert b"Traceback" not in errors


async def test_a_body_that_breaks_off_changes_nothing_and_is_no_defect_of_ours(
    database: FreshDatabase, tmp_path: Path
) -> None:
    connection = await asyncpg.connect(database.dsn)
    await connection.execute("select create_organization('acme')")
    issuer = Issuer(tmp_path / "jwks.json")
    settings = {**settings_of("admin", issuer), "METER_DATABASE_URL": database.dsn}
    chunked, broken = "HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n", b"no length\r\n"
    read = f"GET /livez {chunked}\r\n".encode()
    # All that is needed is there, but not its end.
    body = b'{"credits": "5", "reason": "bonus"}'
    write = (
        f"POST {BASE_PATH}/credits/acme/add {chunked}Content-Type: application/json\r\nIdempotency-Key: 1\r\n"
        f"Authorization: Bearer {issuer.token('sam', roles=['system_admin'])}\r\n\r\n"
    ).encode() + b"%x\r\n%s\r\n" % (len(body), body)
    async with meter_process("admin", **settings) as process, httpx.AsyncClient() as http:
        port, metrics_port = await ports(process)
        for sent in (read + broken, write + broken):
            status, headers, _ = await answer_to(port, sent)
            assert (status[9:12], headers["content-type"]) == ("400", "application/problem+json")
        async with connected(port) as (_, writer):
            writer.write(write)
        # The answer is out already, and whole.
        async with connected(port) as (reader, writer):
            writer.write(read)
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 OK")
            writer.write(broken)
            assert await reader.read() == b""
        counted = ""
        async with asyncio.timeout(DEADLINE_S):
            while f'route="{BASE_PATH}/credits/{{org_id}}/add",status="400"}} 2' not in counted:
                counted = (await http.get(f"http://127.0.0.1:{metrics_port}/metrics")).text
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
    assert 'status="500"' not in counted
    assert {json.loads(line)["level"] for line in errors.splitlines()} <= {"info", "warning"}
    assert await connection.fetchval("select total_credits from organization_credit_pools") == 0
    await connection.close()
