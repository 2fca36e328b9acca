"""The real read API as a process, and a client of it that looks at the clock."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from bench.peers.process import DATABASE_URL
from bench.workers import ready
from meter.local.issuer import ISSUER, DevelopmentIssuer
from meter.local.machine import LOOPBACK, PortBook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from bench.programs import Program
    from bench.stack import Stack

_AUDIENCE = "meter"
_BASE_PATH = "/api/v1/org-billing"
_TIMEOUT_SECONDS = 60.0


class Client:
    """Asks one question at a time over a kept connection, as a system admin.

    Attributes:
        seconds: how long each answer took, from sending the request to having all of the answer.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.seconds: list[float] = []

    async def ask(self, path: str, **query: str) -> Mapping[str, Any]:
        """Ask.

        Args:
            path: below the API's own.
            query: parameters.

        Returns:
            The answer's body.
        """
        began = time.perf_counter()
        answer = await self._client.get(f"{_BASE_PATH}{path}", params=query)
        self.seconds.append(time.perf_counter() - began)
        body: Mapping[str, Any] = answer.raise_for_status().json()
        return body


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers.

    Attributes:
        host: where.
        port: where.
        base_path: before every path.
        headers: with every request: who asks.
    """

    host: str
    port: int
    base_path: str
    headers: Mapping[str, str] = field(repr=False)


@asynccontextmanager
async def running_api(stack: Stack, dsn: str) -> AsyncIterator[Client]:
    """Run ``meter api`` on a database until the context ends, with a client that sees everything."""
    async with (
        served_api(stack, dsn, "bench", roles=["system_admin"]) as served,
        httpx.AsyncClient(
            base_url=f"http://{served.host}:{served.port}",
            headers=served.headers,
            timeout=_TIMEOUT_SECONDS,
        ) as client,
    ):
        yield Client(client)


@asynccontextmanager
async def served_api(
    stack: Stack, dsn: str, user_id: str, *, roles: Sequence[str] = ()
) -> AsyncIterator[Served]:
    """Run ``meter api`` on a database until the context ends.

    Args:
        stack: the servers.
        dsn: the database.
        user_id: who asks.
        roles: of that user's token.
    """
    issuer = DevelopmentIssuer(stack.folder / "issuer", _AUDIENCE)
    issuer.prepare()
    port_book = PortBook(stack.folder / "api-ports.json")
    ports = port_book.assign(["api", "metrics"])
    settings = {
        "METER_DATABASE_URL": dsn,
        "METER_API_PORT": str(ports["api"]),
        "METER_API_METRICS_PORT": str(ports["metrics"]),
        "METER_TOKEN_ISSUER": ISSUER,
        "METER_TOKEN_AUDIENCE": _AUDIENCE,
        "METER_TOKEN_JWKS_FILE": str(issuer.key_set),
        # Counted as ever, and never enough.
        "METER_READS_PER_MINUTE": "100000000",
        # As it is by itself: what is wrong has its line.
        "METER_LOG_LEVEL": "info",
    }
    async with _answering(stack.programs.program("api", ("meter", "api"), settings), ports["api"]):
        token = issuer.issue(user_id, roles=list(roles))
        yield Served(LOOPBACK, ports["api"], _BASE_PATH, {"Authorization": f"Bearer {token}"})


@asynccontextmanager
async def served_bare(stack: Stack, dsn: str) -> AsyncIterator[Served]:
    """Run the bare route on a database until the context ends."""
    port_book = PortBook(stack.folder / "api-ports.json")
    port = port_book.assign(["bare"])["bare"]
    program = stack.programs.program("bare", ("bench.peers.bare_route", str(port)), {DATABASE_URL: dsn})
    async with _answering(program, port):
        yield Served(LOOPBACK, port, "", {})


@asynccontextmanager
async def _answering(program: Program, port: int) -> AsyncIterator[None]:
    await program.start()
    try:
        await ready(f"http://{LOOPBACK}:{port}")
        yield
    finally:
        await program.stop()
