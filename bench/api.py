"""The real read API as a process, and a client of it that looks at the clock."""

from __future__ import annotations

import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

from bench.workers import meter_environment, ready
from meter.local.child import Child, Command
from meter.local.issuer import ISSUER, DevelopmentIssuer
from meter.local.machine import LOOPBACK, PortBook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

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


@asynccontextmanager
async def running_api(stack: Stack, dsn: str) -> AsyncIterator[Client]:
    """Run ``meter api`` on a database until the context ends."""
    issuer = DevelopmentIssuer(stack.folder / "issuer", _AUDIENCE)
    issuer.prepare()
    ports = PortBook(stack.folder / "api-ports.json").assign(["api", "metrics"])
    command = Command(
        name="api",
        folder=stack.folder,
        arguments=[sys.executable, "-m", "meter", "api"],
        environment=meter_environment(
            METER_DATABASE_URL=dsn,
            METER_API_PORT=str(ports["api"]),
            METER_API_METRICS_PORT=str(ports["metrics"]),
            METER_TOKEN_ISSUER=ISSUER,
            METER_TOKEN_AUDIENCE=_AUDIENCE,
            METER_TOKEN_JWKS_FILE=str(issuer.key_set),
            # Counted as ever, and never enough.
            METER_READS_PER_MINUTE="100000000",
        ),
    )
    child = Child(command)
    await child.start()
    try:
        url = f"http://{LOOPBACK}:{ports['api']}"
        await ready(url)
        token = issuer.issue("bench", roles=["system_admin"])
        async with httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT_SECONDS
        ) as client:
            yield Client(client)
    finally:
        await child.stop()
