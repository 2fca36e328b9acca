"""Publishing over amqps: the certificate counts."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
from tests.certificates import self_signed
from tests.tcp_proxy import tcp_proxy
from tests.usage_queue import usage_queue
from yarl import URL

from meter.publisher import Publisher

if TYPE_CHECKING:
    from pathlib import Path

    from tests.private_servers import Broker


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return self_signed(tmp_path / "certificate.pem")


async def test_events_travel_over_tls_to_a_broker_with_a_good_certificate(
    broker: Broker, certificate: Path
) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    plain = URL(broker.publisher_url)
    async with (
        usage_queue(broker.operator_url) as queue,
        tcp_proxy(str(plain.host), plain.port or 0, server) as proxy,
    ):
        url = plain.with_scheme("amqps").with_port(proxy.port).with_query(cafile=str(certificate))
        async with Publisher(str(url), source="svc") as sender:
            ids = [sender.record("acme", "alice", "llm") for _ in range(2_000)]
            assert await sender.flush(30) == 0
        assert [event.id for event in await queue.events()] == ids


async def test_a_broker_with_a_certificate_nobody_vouches_for_gets_nothing(
    broker: Broker, certificate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    plain = URL(broker.publisher_url)
    async with tcp_proxy(str(plain.host), plain.port or 0, server) as proxy:
        url = plain.with_scheme("amqps").with_port(proxy.port)
        sender = await Publisher(str(url), source="svc").open()
        sender.record("acme", "alice", "llm")
        assert await sender.close(1) == 1
    assert "certificate" in caplog.text.lower()
