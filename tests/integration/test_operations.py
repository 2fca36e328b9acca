from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from meter.errors import ConfigurationError
from meter.operations import Check, _listen, operations_app, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def _served(checks: dict[str, Check], registry: CollectorRegistry) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        serving(operations_app(checks, registry), "127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        yield client


async def _well() -> str | None:
    return None


async def _unwell() -> str | None:
    return "the database does not answer"


async def _broken() -> str | None:
    raise ConnectionRefusedError("connection refused")


async def _hanging() -> str | None:
    await asyncio.Event().wait()
    return None


async def test_a_process_is_ready_when_every_check_holds() -> None:
    async with _served({"database": _well}, CollectorRegistry()) as client:
        assert (await client.get("/livez")).status_code == 200
        response = await client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"ready": True, "checks": {"database": "ok"}}


async def test_every_failing_check_says_why() -> None:
    checks = {"consuming": _well, "database": _unwell, "broker": _broken, "schema": _hanging}
    async with _served(checks, CollectorRegistry()) as client:
        response = await client.get("/readyz")
        assert (await client.get("/livez")).status_code == 200
    assert response.status_code == 503
    assert response.json() == {
        "ready": False,
        "checks": {
            "consuming": "ok",
            "database": "the database does not answer",
            "broker": "ConnectionRefusedError: connection refused",
            "schema": "no answer within 2 s",
        },
    }


async def test_metrics_are_shown_in_the_prometheus_format() -> None:
    registry = CollectorRegistry()
    Counter("meter_tests", "Tests.", registry=registry).inc(3)
    async with _served({}, registry) as client:
        assert "meter_tests_total 3.0" in (await client.get("/metrics")).text


async def test_a_taken_port_is_said_in_one_sentence() -> None:
    app = operations_app({}, CollectorRegistry())
    async with serving(app, "127.0.0.1", 0) as port:
        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1 port {port}"):
            async with serving(app, "127.0.0.1", port):
                pass


def test_no_answer_waits_for_the_acknowledgement_of_its_headers() -> None:
    with (
        _listen("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
