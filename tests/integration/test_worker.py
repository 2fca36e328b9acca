"""What a worker makes of messages, with a real broker and a real database."""

from __future__ import annotations

import json
import ssl
from collections import Counter
from typing import TYPE_CHECKING

from pamqp.commands import Basic
from tests.certificates import self_signed
from tests.malformed import MALFORMED, body
from tests.running_worker import Ledger, UsageSide, running_worker, until
from tests.tcp_proxy import tcp_proxy
from yarl import URL

from meter.events import CONTENT_TYPE_BATCH, CONTENT_TYPE_EVENT

if TYPE_CHECKING:
    from pathlib import Path

    from pamqp.common import FieldValue
    from tests.private_servers import Broker, FreshDatabase


async def test_usage_is_charged_once_however_often_it_is_published(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    async with running_worker(database.dsn, broker.worker_url) as worker:
        await services.publish_batch(body("acme", number) for number in range(500))
        await services.publish_events(body("acme", number) for number in range(500, 600))
        assert await books.settled(600) == {"charged": 600}
        await services.publish_events(body("acme", number) for number in range(600))
        await until(lambda: worker.metric('meter_events_total{outcome="duplicate"}'), lambda n: n == 600)
        assert await books.settled(600) == {"charged": 600}
        assert await worker.metric('meter_events_total{outcome="charged"}') == 600
        assert await worker.metric('meter_credits_total{service_type="contact_lookup"}') == 6_000
        assert await worker.metric("meter_publish_to_commit_seconds_count") == 701
        await until(lambda: worker.metric("meter_in_flight_bytes"), lambda held: held == 0)
        assert await worker.metric("meter_in_flight_events") == 0
        assert await worker.is_ready()
        assert await worker.stop() < 10
        assert worker.process.returncode == 0
    assert await services.ready("meter.usage") == 0
    assert await services.ready("meter.dead") == 0


async def test_a_culprit_is_a_dead_letter_byte_for_byte_while_its_neighbours_are_charged(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    conflicting = json.dumps(json.loads(body("acme", 1, data={"user_id": "mallory"})), indent=3).encode()
    unknown = body("nobody", 7) + b"\t "
    malformed = b'{ "id" : "seven", "subject":"acme" }'
    async with running_worker(database.dsn, broker.worker_url) as worker:
        await services.publish_events([body("acme", 1)])
        await books.settled(1)
        await services.publish_batch([body("acme", 2), conflicting, unknown, malformed, body("acme", 3)])
        letters = await services.dead_letters(3)
        assert await books.settled(3) == {"charged": 3}
        assert {letter.body for letter in letters} == {conflicting, unknown.strip(), malformed}
        by_reason = {letter.header.properties.headers["meter-reason"]: letter for letter in letters}
        assert by_reason.keys() == {"conflict", "unknown_organization", "invalid_event"}
        conflict = by_reason["conflict"].header.properties
        assert conflict.content_type == CONTENT_TYPE_EVENT
        assert conflict.delivery_mode == 2
        assert conflict.headers["meter-org-id"] == "acme"
        assert conflict.headers["meter-event-id"] == "event-1"
        assert conflict.headers["meter-attempts"] == 1
        assert conflict.headers["meter-origin-queue"] == "meter.usage"
        assert conflict.headers["meter-first-seen"].endswith("Z")
        assert conflict.headers["meter-part"] == "element"
        assert conflict.headers["meter-original-content-type"] == CONTENT_TYPE_BATCH
        assert "other content" in conflict.headers["meter-sentence"]
        assert await worker.metric('meter_dead_letters_total{reason="conflict"}') == 1
        assert await worker.metric('meter_events_total{outcome="conflict"}') == 1
        assert await worker.metric('meter_events_total{outcome="dead"}') == 2
        said = await worker.says("dead letter", times=3)
        assert "mallory" not in str(worker.lines)
        assert said["correlation_id"]


async def test_a_thousand_malformed_messages_are_all_dead_letters_and_valid_usage_is_charged(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    kinds = [MALFORMED[number % len(MALFORMED)] for number in range(1_000)]
    messages = [(kind.build("acme", number), kind.content_type) for number, kind in enumerate(kinds)]
    valid = [(body("acme", 1_000_000 + number), CONTENT_TYPE_EVENT) for number in range(200)]
    async with running_worker(database.dsn, broker.worker_url) as worker:
        for start in range(0, 1_000, 100):
            await services.publish(messages[start : start + 100])
            await services.publish(valid[start // 5 : start // 5 + 20])
        letters = await services.dead_letters(1_000)
        assert await books.settled(200) == {"charged": 200}
        assert await worker.is_ready()
        assert worker.process.returncode is None
        assert worker.unreadable == []

    sent = Counter(
        (message, content_type or None, kind.reason.value)
        for (message, content_type), kind in zip(messages, kinds, strict=True)
    )
    got = Counter(
        (letter.body, letter.header.properties.content_type, letter.header.properties.headers["meter-reason"])
        for letter in letters
    )
    assert got == sent


async def test_a_whole_message_keeps_its_content_type_and_an_element_can_be_replayed_alone(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    charset = f"{CONTENT_TYPE_BATCH}; charset=utf-8"
    element = body("acme", 1, data={"credits": -1})
    async with running_worker(database.dsn, broker.worker_url):
        await services.publish([(b"[]", charset), (b"[" + element + b"]", charset)])
        letters = await services.dead_letters(2)
    kept = {
        letter.body: (
            letter.header.properties.content_type,
            letter.header.properties.headers["meter-part"],
            letter.header.properties.headers["meter-original-content-type"],
        )
        for letter in letters
    }
    assert kept == {b"[]": (charset, "message", charset), element: (CONTENT_TYPE_EVENT, "element", charset)}


async def test_a_message_whose_properties_cannot_be_read_is_a_dead_letter_like_any_other(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    async with running_worker(database.dsn, broker.worker_url) as worker:
        await worker.says("consuming")
        await services.publish_events([body("acme", 1)])
        await services.publish_with(UnreadableProperties(content_type="application/json"), body("acme", 2))
        await services.publish_events([body("acme", 3)])
        (letter,) = await services.dead_letters(1)
        assert letter.body == body("acme", 2)
        assert letter.header.properties.headers["meter-reason"] == "unsupported_content_type"
        assert await books.settled(2) == {"charged": 2}
        await until(worker.is_ready, bool)


async def test_usage_comes_over_tls_as_well(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide, tmp_path: Path
) -> None:
    certificate = self_signed(tmp_path / "certificate.pem")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    plain = URL(broker.worker_url)
    async with tcp_proxy(str(plain.host), plain.port or 0, server) as proxy:
        url = plain.with_scheme("amqps").with_port(proxy.port).with_query(cafile=str(certificate))
        async with running_worker(database.dsn, str(url)) as worker:
            await services.publish_events(body("acme", number) for number in range(500))
            await services.publish_batch(body("acme", 1_000 + number) for number in range(1_000))
            assert await books.settled(1_500) == {"charged": 1_500}
            assert await worker.stop() < 10


class UnreadableProperties(Basic.Properties):
    """Properties with a content type that is not UTF-8, which the broker passes on."""

    def encode_property(self, name: str, value: FieldValue) -> bytes:
        return b"\x03a\xffb" if name == "content_type" else super().encode_property(name, value)
