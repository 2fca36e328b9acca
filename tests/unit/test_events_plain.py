"""The fast way of decoding either declines, or gives exactly what the contract's model gives."""

from __future__ import annotations

import os
from datetime import UTC
from decimal import Decimal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.malformed import UNDECODABLE, Malformed, body
from tests.usage_json import V7, usage_messages

from meter.events import CONTENT_TYPE_BATCH, CONTENT_TYPE_EVENT, MESSAGE_MAX_EVENTS, Usage, decode_message
from meter.events.exact import EventRefused, read_exactly
from meter.events.plain import read_plain_batch, read_plain_event

#: ``make test-model`` asks for more.
EXAMPLES = int(os.environ.get("METER_TEST_EXAMPLES", "50"))
#: Drawing a message may take a second where everything else runs, too.
SLOW_ON_A_BUSY_MACHINE = [HealthCheck.too_slow]
_JSON = msgspec.json.Decoder(float_hook=Decimal)


def exactly(message: bytes) -> Usage | None:
    """Read the exact way, which is only ever asked about valid UTF-8; None where it refuses."""
    try:
        message.decode()
        event = read_exactly(message)
    except (UnicodeDecodeError, EventRefused):
        return None
    return event if isinstance(event, Usage) else None


def spelled(event: Usage | None) -> list[str]:
    """Spell an event out: 1, 1.0 and true differ, and the order of keys, but not the forms of a time."""
    if event is None:
        return []
    fields = {**msgspec.structs.asdict(event), "time": event.occurred_at.astimezone(UTC)}
    return [f"{name}: {value!r}" for name, value in fields.items()]


@settings(max_examples=EXAMPLES, suppress_health_check=SLOW_ON_A_BUSY_MACHINE)
@given(usage_messages())
def test_the_fast_way_declines_or_reads_what_the_exact_way_reads(message: bytes) -> None:
    plain = read_plain_event(message)

    if plain is not None:
        assert spelled(plain) == spelled(exactly(message))
        assert repr(_JSON.decode(plain.metadata)) == repr(plain.numbers)


@settings(max_examples=(EXAMPLES + 1) // 2, suppress_health_check=SLOW_ON_A_BUSY_MACHINE)
@given(st.lists(usage_messages(), max_size=4))
def test_a_batch_is_read_as_its_elements_are(elements: list[bytes]) -> None:
    message = b"[" + b",".join(elements) + b"]"
    plain = read_plain_batch(message)

    if plain is not None:
        assert [spelled(event) for event in plain] == [spelled(exactly(element)) for element in elements]


@pytest.mark.parametrize("kind", UNDECODABLE, ids=str)
def test_the_fast_way_declines_whatever_is_malformed(kind: Malformed) -> None:
    reader = read_plain_batch if kind.content_type == CONTENT_TYPE_BATCH else read_plain_event
    message = kind.build("acme", 1)

    # What the message announces or weighs is looked at before anything is read.
    if kind.reason not in ("unsupported_content_type", "message_too_large"):
        assert reader(message) is None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"id": V7},
        {"time": "2026-01-31T12:00:00.5Z"},
        {"time": "2026-01-31T12:00:00.5+00:00"},
        {"datacontenttype": "application/json"},
        {"datacontenttype": "application/json", "data": {"metadata": {"model": "m"}}},
        {"time": "2026-01-31T13:00:00.123456789+01:00"},
        {"data": {"quantity": 2.5, "credits": "0.000001", "api_cost": 10**14 - 1}},
        {"data": {"service_name": "full", "key_source": "byok", "request_id": "r"}},
        {
            "data": {
                "metadata": {
                    "model": "GPT-4E",
                    "input_tokens": 12,
                    "latency_ms": 12.5,
                    "cached": None,
                    "x": True,
                }
            }
        },
        {"data": {"metadata": {"text": "[{" * 1_000, "number": 10**300}}},
    ],
    ids=str,
)
def test_what_services_usually_send_is_read_fast(changes: dict[str, object]) -> None:
    message = body("acme", 1, **changes)

    assert spelled(read_plain_event(message)) == spelled(exactly(message)) != []


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"quantity": "100000000000000"}},
        {"data": {"quantity": "0.0000001"}},
        {"data": {"quantity": "01"}},
        {"data": {"quantity": "1."}},
        {"data": {"quantity": "1\n"}},
        {"data": {"quantity": "١"}},
        {"time": "2026-01-31T24:00:00Z"},
        {"time": "2026-02-30T12:00:00+00:00"},
        {"time": "0001-01-01T00:00:00+00:01"},
        {"time": "2026-01-31 12:00:00Z"},
        {"time": "2026-01-31T12:00:00+0000"},
        {"datacontenttype": "application/json", "data": {"metadata": {"datacontenttype": "mine"}}},
        {"data": {"metadata": {"a": 10**309}}},
        {"data": {"metadata": {"a": {"b": 1}}}},
        {"data": {"metadata": {"a": [1]}}},
        {"data": {"metadata": {"a": "x" * 8_185}}},
    ],
    ids=str,
)
def test_what_only_resembles_the_plain_is_declined(changes: dict[str, object]) -> None:
    assert read_plain_event(body("acme", 1, **changes)) is None


def test_digits_beyond_the_microsecond_are_cut_off_before_the_database_would_round_them() -> None:
    event = read_plain_event(body("acme", 1, time="2026-01-31T12:00:00.9999999Z"))

    assert event is not None
    assert event.time == "2026-01-31T12:00:00.999999+00:00"


def test_an_amount_too_long_to_be_remembered_is_left_to_the_exact_way() -> None:
    message = body("acme", 1, data={"quantity": "1." + "0" * 100})

    assert read_plain_event(message) is None
    assert decode_message(message, CONTENT_TYPE_EVENT).events[0].quantity == 1_000_000


def test_an_event_that_is_not_plain_leaves_its_neighbours_on_the_fast_way_of_one() -> None:
    elements = [
        body("acme", 1),
        body("acme", 2, extension="x"),
        body("acme", 3, time="never"),
        body("acme", 4),
    ]
    message = b"[" + b", ".join(elements) + b"]"

    decoded = decode_message(message, CONTENT_TYPE_BATCH)

    assert read_plain_batch(message) is None
    assert [event.id for event in decoded.events] == ["event-1", "event-2", "event-4"]
    assert [event.folded for event in decoded.events] == [None, ("extension",), None]
    assert [decoded.original(index) for index in range(3)] == [elements[0], elements[1], elements[3]]
    assert [refusal.original for refusal in decoded.refusals] == [elements[2]]


def test_a_batch_of_none_or_of_too_many_is_not_read_fast() -> None:
    largest = [body("acme", number) for number in range(MESSAGE_MAX_EVENTS)]

    assert len(read_plain_batch(b"[" + b",".join(largest) + b"]") or ()) == MESSAGE_MAX_EVENTS
    assert read_plain_batch(b"[" + b",".join([*largest, largest[0]]) + b"]") is None
    assert read_plain_batch(b"[]") is None
