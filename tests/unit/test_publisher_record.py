"""What ``record`` accepts, and the event it makes of it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from meter.errors import ConfigurationError, InvalidUsageEvent
from meter.events import (
    CONTENT_TYPE_BATCH,
    CONTENT_TYPE_EVENT,
    Usage,
    Void,
    decode_message,
    encode_batch,
    event_key,
)
from meter.publisher import BlockingPublisher, Publisher
from meter.publisher.outbox import Message

URL = "amqp://meter:hush-hush@127.0.0.1:1/"


def publisher(**options: Any) -> Publisher:
    return Publisher(URL, source="test", **options)


def recorded(sender: Publisher) -> list[Usage]:
    sender._outbox.seal()
    events: list[Usage] = []
    while isinstance(message := sender._outbox.take(), Message):
        decoded = decode_message(encode_batch(message.events), CONTENT_TYPE_BATCH)
        assert decoded.refusals == ()
        events += decoded.events
    return events


def test_the_event_says_what_was_recorded() -> None:
    sender = publisher()
    at = datetime(2026, 3, 1, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    event_id = sender.record(
        "acme",
        "alice",
        "llm",
        service_name="openai",
        quantity=3,
        credits=Decimal("1.250000"),
        api_cost="0.000001",
        key_source="byok",
        request_id="r-1",
        metadata={"model": "gpt", "input_tokens": 12, "tags": ["a", {"b": None}], "text": 'ü "\\u0000" \\'},
        id="row-1",
        source="elsewhere",
        time=at,
    )
    (event,) = recorded(sender)
    assert event_id == event.id == "row-1"
    assert (event.source, event.org_id, event.occurred_at) == ("elsewhere", "acme", at)
    assert (event.user_id, event.service_type, event.service_name) == ("alice", "llm", "openai")
    assert (event.quantity, event.credits, event.api_cost) == (3_000_000, 1_250_000, 1)
    assert (event.key_source, event.request_id) == ("byok", "r-1")
    assert event.numbers == {
        "model": "gpt",
        "input_tokens": 12,
        "tags": ["a", {"b": None}],
        "text": 'ü "\\u0000" \\',
    }


def test_what_is_not_given_takes_its_default() -> None:
    sender = publisher()
    before = datetime.now(UTC)
    event_id = sender.record("acme", "alice", "llm")
    (event,) = recorded(sender)
    assert event_id is not None
    assert UUID(event_id).version == 7
    assert event.key == event_id
    assert event.source == "test"
    assert before <= event.occurred_at <= datetime.now(UTC)
    assert (event.quantity, event.credits, event.metadata) == (1_000_000, None, "{}")


def test_every_event_has_an_id_of_its_own() -> None:
    sender = publisher()
    ids = [sender.record("acme", "alice", "llm") for _ in range(1_000)]
    assert len(set(ids)) == 1_000
    assert sorted(filter(None, ids)) == ids


def nested(levels: int) -> list[Any]:
    return [nested(levels - 1)] if levels else []


INVALID: dict[str, dict[str, Any]] = {
    "organization with a blank": {"org_id": "ac me"},
    "organization that is a reserved word": {"org_id": "system"},
    "organization too long": {"org_id": "a" * 37},
    "organization of a line break": {"org_id": "acme\n"},
    "organization of another type": {"org_id": 7},
    "no user": {"user_id": ""},
    "user of another type": {"user_id": 7},
    "user of bytes": {"user_id": b"alice"},
    "request of bytes": {"request_id": b"r-1"},
    "source of bytes": {"source": b"svc"},
    "user too long": {"user_id": "u" * 256},
    "user with a NUL": {"user_id": "a\0b"},
    "user with a lone surrogate": {"user_id": "\ud800"},
    "service too long": {"service_type": "s" * 101},
    "service name too long": {"service_name": "s" * 201},
    "request too long": {"request_id": "r" * 256},
    "negative quantity": {"quantity": -1},
    "quantity of fifteen digits": {"quantity": 10**14},
    "quantity that is a float": {"quantity": 1.5},
    "quantity that is a bool": {"quantity": True},
    "credits that are a float": {"credits": 0.1},
    "credits of seven places": {"credits": Decimal("0.0000001")},
    "credits that are no number": {"credits": Decimal("NaN")},
    "credits without an end": {"credits": Decimal("Infinity")},
    "cost that is a word": {"api_cost": "much"},
    "cost that is a float": {"api_cost": 0.002},
    "unknown key source": {"key_source": "stolen"},
    "empty id": {"id": ""},
    "id too long": {"id": "i" * 129},
    "empty source": {"source": ""},
    "source too long": {"source": "s" * 129},
    "time without an offset": {"time": datetime(2026, 1, 1)},  # noqa: DTZ001
    "time that is a string": {"time": "yesterday"},
    "metadata over 8 KiB": {"metadata": {"text": "x" * 9_000}},
    "metadata with a NUL": {"metadata": {"text": "\0"}},
    "metadata that is no object": {"metadata": ["a"]},
    "metadata that JSON cannot hold": {"metadata": {"file": object()}},
    "metadata nested too deeply": {"metadata": {"deep": nested(60)}},
}


@pytest.mark.parametrize("wrong", INVALID.values(), ids=INVALID.keys())
def test_an_event_the_contract_refuses_is_refused_at_the_call(wrong: dict[str, Any]) -> None:
    sender = publisher()
    arguments: dict[str, Any] = {"org_id": "acme", "user_id": "alice", "service_type": "llm"} | wrong
    for _ in range(2):
        with pytest.raises(InvalidUsageEvent) as raised:
            sender.record(**arguments)
        assert isinstance(raised.value, ValueError)
        assert len(str(raised.value)) > 10
    assert sender.counters.recorded == 0


def test_the_limits_themselves_are_accepted() -> None:
    sender = publisher()
    sender.record(
        "a" * 36,
        "u" * 255,
        "s" * 100,
        service_name="n" * 200,
        quantity=10**14 - 1,
        credits="0.000001",
        api_cost=Decimal("99999999999999.999999"),
        request_id="r" * 255,
        id="i" * 128,
        source="s" * 128,
        metadata={"text": "x" * 8_000},
    )
    (event,) = recorded(sender)
    assert event.quantity == (10**14 - 1) * 10**6


def test_an_amount_of_more_zeros_than_places_is_judged_by_its_value() -> None:
    sender = publisher()
    sender.record("acme", "alice", "llm", credits=Decimal("1E+3"), quantity=Decimal("2.00000000"))
    (event,) = recorded(sender)
    assert (event.credits, event.quantity) == (1_000_000_000, 2_000_000)


def test_a_decimal_in_the_metadata_is_a_number_that_can_be_priced() -> None:
    sender = publisher()
    sender.record("acme", "alice", "llm", metadata={"input_tokens": Decimal("1200.5"), "output_tokens": 3})
    (event,) = recorded(sender)
    assert event.numbers == {"input_tokens": Decimal("1200.5"), "output_tokens": 3}


@pytest.mark.parametrize(
    "number",
    [float("nan"), float("-inf"), Decimal("NaN"), Decimal("Infinity"), 10**309, [{"deep": float("nan")}]],
)
def test_a_number_that_json_or_the_database_cannot_hold_is_refused(number: object) -> None:
    with pytest.raises(InvalidUsageEvent, match="metadata"):
        publisher().record("acme", "alice", "llm", metadata={"number": number})


def test_a_written_event_is_forwarded_byte_for_byte() -> None:
    sender = publisher()
    event = (
        b'{"specversion": "1.0", "type": "meter.usage.v1", "id": "1", "source": "log", "subject": "acme",'
        b' "time": "2026-01-01T00:00:00Z", "traceparent": "x", "data":'
        b' {"user_id": "u", "service_type": "llm"}}'
    )
    assert sender.forward(event)
    sender._outbox.seal()
    message = sender._outbox.take()
    assert isinstance(message, Message)
    assert message.events == (event,)
    assert message.routing_key == "acme"
    assert decode_message(event, CONTENT_TYPE_EVENT).refusals == ()


def test_a_broken_written_event_is_not_forwarded() -> None:
    with pytest.raises(InvalidUsageEvent):
        publisher().forward(b'{"specversion": "1.0"}')


def test_a_full_buffer_refuses_loudly_and_never_raises(caplog: pytest.LogCaptureFixture) -> None:
    sender = publisher(max_events=10)
    with caplog.at_level(logging.WARNING, logger="meter.publisher"):
        accepted = [sender.record("acme", "alice", "llm") for _ in range(100)]
    assert [event_id is not None for event_id in accepted] == [True] * 10 + [False] * 90
    counters = sender.counters
    assert (counters.recorded, counters.buffered, counters.dropped) == (10, 10, 90)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "dropped" in caplog.text
    assert "hush-hush" not in caplog.text


async def test_a_closed_publisher_refuses(caplog: pytest.LogCaptureFixture) -> None:
    sender = publisher()
    assert await sender.close() == 0
    assert sender.record("acme", "alice", "llm") is None
    assert sender.counters.dropped == 0
    assert "closed" in caplog.text


@pytest.mark.parametrize("kind", [Publisher, BlockingPublisher])
def test_neither_repr_nor_str_shows_the_password(kind: type[Publisher | BlockingPublisher]) -> None:
    sender = kind(URL, source="test")
    assert repr(sender) == f"<{kind.__name__} of 'test' to amqp://127.0.0.1:1/>"
    assert "hush-hush" not in str(sender)


@pytest.mark.parametrize(
    "url", ["", "http://h/", "amqp://", "amqp://u:hush-hush@h:no/", "amqp://u:hush-hush@:1/"]
)
def test_an_address_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="amqp://user:password@host") as raised:
        Publisher(url, source="test")
    assert "hush-hush" not in str(raised.value)


def test_a_void_names_the_event_that_was_recorded() -> None:
    sender = publisher()
    recorded_id = sender.record("acme", "alice", "llm")
    assert recorded_id is not None

    void_id = sender.void("acme", recorded_id, reason="the answer never arrived")
    other_id = sender.void("acme", "order-1", reason="twice", target_source="shop", id="undo-1")

    void, other = (event for event in recorded(sender) if isinstance(event, Void))
    assert (void.org_id, void.id, void.target_key) == ("acme", void_id, recorded_id)
    assert (other.id, other_id, other.target_key) == ("undo-1", "undo-1", str(event_key("shop", "order-1")))


@pytest.mark.parametrize("wrong", [{"reason": ""}, {"reason": "r", "target_id": ""}, {"reason": "\ud800"}])
def test_a_void_that_the_contract_refuses_is_refused_at_once(wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidUsageEvent):
        publisher().void("acme", **{"target_id": "e", **wrong})


@pytest.mark.parametrize("source", ["", "s" * 129])
def test_a_source_that_the_contract_refuses_is_refused_at_once(source: str) -> None:
    with pytest.raises(ConfigurationError, match="source"):
        Publisher(URL, source=source)


@pytest.mark.parametrize("bound", ["max_events", "max_bytes", "confirm_seconds"])
def test_a_bound_of_nothing_is_refused(bound: str) -> None:
    with pytest.raises(ConfigurationError, match="bounds"):
        publisher(**{bound: 0})
