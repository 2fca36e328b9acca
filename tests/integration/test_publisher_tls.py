"""Publishing over amqps: the certificate counts."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.tcp_proxy import tcp_proxy
from tests.usage_queue import usage_queue
from yarl import URL

from meter.publisher import Publisher

if TYPE_CHECKING:
    from pathlib import Path

    from tests.private_servers import Broker


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for loopback that signs itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "meter test")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


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
